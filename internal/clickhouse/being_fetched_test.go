package clickhouse

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/manifest"
)

// planning is a run that has planned two days and filled none of them.
func planning(t testing.TB, db *DB, after int, change func(*backfill.Run)) backfill.Run {
	t.Helper()
	run := newRun(after)
	run.PlannedChunks = 2
	if change != nil {
		change(&run)
	}
	require.NoError(t, db.Planned(t.Context(), run, []backfill.Chunk{newChunk(run, 0), newChunk(run, 1)}))
	require.NoError(t, db.Started(t.Context(), run))
	return run
}

var twoDays = candle.Range{From: day0, To: day0 + 2*86400}

// left is what a plan for the two days would leave to which run.
func (db *DB) left(t testing.TB, q backfill.CoverageQuery) map[uuid.UUID]int64 {
	t.Helper()
	q.Validation, q.Interval, q.Range = candle.Lenient, candle.Interval1m, twoDays
	wanted := []candle.TokenRanges{{Token: token, Ranges: []candle.Range{twoDays}}}
	runs, err := report.New(db).LiveRuns(t.Context(), q)
	require.NoError(t, err)
	being := backfill.NewBeingFetched(wanted, candle.Interval1m)
	require.NoError(t, report.New(db).FillBeingFetched(t.Context(), q, runs, being))
	candles := map[uuid.UUID]int64{}
	_, left := being.LeaveOut(wanted)
	for _, l := range left {
		candles[l.RunID] = l.Candles
	}
	return candles
}

func TestWhatARunHasYetToFetchIsLeftToIt(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	birdeye := backfill.CoverageQuery{Sources: []string{"birdeye"}, Tokens: []candle.Token{token}}
	require.Empty(t, db.left(t, birdeye))
	run := planning(t, db, 0, nil)
	require.Equal(t, map[uuid.UUID]int64{run.ID(): 2880}, db.left(t, birdeye))
	require.Empty(t, db.left(t, backfill.CoverageQuery{Sources: birdeye.Sources, Tokens: []candle.Token{{Chain: candle.Solana, Address: "other"}}}))

	require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{succeeded(newChunk(run, 0), backfill.Stats{})}))
	require.Equal(t, map[uuid.UUID]int64{run.ID(): 1440}, db.left(t, birdeye), "what has its outcome is covered, or due")
	require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{failed(newChunk(run, 1), "HTTP 500")}))
	require.Empty(t, db.left(t, birdeye))
	require.NoError(t, db.Finished(t.Context(), backfill.RunRecord{Run: run, Status: backfill.StatusFailed}))

	retry := run
	retry.Attempt, retry.RetriedChunks = 2, 1
	require.NoError(t, db.Planned(t.Context(), retry, []backfill.Chunk{newChunk(run, 1)}))
	require.NoError(t, db.Started(t.Context(), retry))
	require.Equal(t, map[uuid.UUID]int64{run.ID(): 1440}, db.left(t, birdeye), "a retry fetches what it takes up")
	require.NoError(t, db.Finished(t.Context(), backfill.RunRecord{Run: retry, Status: backfill.StatusCancelled}))
	require.Empty(t, db.left(t, birdeye))
}

// Only what would cover is left to others: the same sources, rules and parameters, and a run that goes on here.
func TestOnlyRunsWhoseAnswersWouldCoverCount(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	own, _, err := db.deployment(t.Context())
	require.NoError(t, err)
	plain := planning(t, db, 0, func(run *backfill.Run) { run.Manifest.DeploymentID = own })
	fallback := planning(t, db, 1, func(run *backfill.Run) {
		run.Manifest.Source, run.Manifest.Fallbacks = "binance", []string{"geckoterminal"}
	})
	filtered := planning(t, db, 2, func(run *backfill.Run) { run.Manifest.Outliers = manifest.OutliersFilter })
	withoutFiles := planning(t, db, 3, func(run *backfill.Run) { run.Manifest.NoPublishedFiles = true })
	planning(t, db, 4, func(run *backfill.Run) { run.Manifest.Validation = candle.Strict })
	planning(t, db, 5, func(run *backfill.Run) { run.Manifest.Interval = candle.Interval5m })
	planning(t, db, 6, func(run *backfill.Run) { run.Manifest.DeploymentID = uuid.New() })

	list := func(q backfill.CoverageQuery) (ids []uuid.UUID) {
		q.Validation, q.Interval = candle.Lenient, candle.Interval1m
		runs, err := report.New(db).LiveRuns(t.Context(), q)
		require.NoError(t, err)
		for _, run := range runs {
			ids = append(ids, run.RunID)
		}
		return ids
	}
	require.Equal(t, []uuid.UUID{plain.ID(), withoutFiles.ID()}, list(backfill.CoverageQuery{Sources: []string{"birdeye"}}))
	require.Equal(t, []uuid.UUID{withoutFiles.ID()}, list(backfill.CoverageQuery{Sources: []string{"birdeye"}, NoPublishedFiles: true}))
	require.Equal(t, []uuid.UUID{filtered.ID()}, list(backfill.CoverageQuery{Sources: []string{"birdeye"}, Outliers: manifest.OutliersFilter}))
	require.Empty(t, list(backfill.CoverageQuery{Sources: []string{"binance"}}), "its fallback may answer instead")
	require.Equal(t, []uuid.UUID{fallback.ID()}, list(backfill.CoverageQuery{Sources: []string{"binance", "geckoterminal"}}))
}

package clickhouse

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/coverage"
)

func judgeAsked(t *testing.T, db *DB, q backfill.CoverageQuery) (judged []coverage.VerdictSpan) {
	t.Helper()
	q.Interval, q.Tokens, q.Range = candle.Interval1m, []candle.Token{token}, candle.Range{To: day0 + 86_400}
	if !q.Any {
		q.Sources, q.Validation = []string{"birdeye"}, candle.Lenient
	}
	require.NoError(t, report.New(db).TokenHistories(t.Context(), q, func(h coverage.TokenHistory) error {
		judged = append(judged, h.JudgeRequested(uuid.Nil, coverage.Moment{Now: time.Now()})...)
		return nil
	}))
	return judged
}

// stretchOf is a stretch of n minutes, from this minute of the day on.
func stretchOf(from, n int64, verdict coverage.Verdict, due bool, by ...uuid.UUID) coverage.VerdictSpan {
	r := candle.Range{From: day0 + 60*from, To: day0 + 60*(from+n)}
	return coverage.VerdictSpan{Range: r, Verdict: verdict, Candles: n, Stale: due, RolledBack: by}
}

// What was asked for and is not served has verdicts of its own: rolled back (by which run), cancelled, planned by a run that died. Nothing
// else is asked for, and as of a moment before the rollback it is there.
func TestWhatIsNotServedHasItsVerdict(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	between := func(from, to int64, change func(*backfill.ChunkWrite)) func(*backfill.ChunkWrite) {
		return func(w *backfill.ChunkWrite) {
			w.Chunk = backfill.NewChunk(token, candle.Interval1m, candle.Range{From: day0 + 60*from, To: day0 + 60*to})
			stats := backfill.Stats{Fetched: int64(len(w.Candles)), Inserted: int64(len(w.Candles))}
			w.Outcome = succeeded(w.Chunk, stats)
			if change != nil {
				change(w)
			}
		}
	}
	first := asking(t, db, 0, 20, minutes(15, 1), nil)
	before, err := report.New(db).EndMoment(t.Context(), first.ID())
	require.NoError(t, err)
	asking(t, db, 1, 60, minutes(5, 2), between(0, 5, nil))
	asking(t, db, 2, 60, nil, between(60, 70, func(w *backfill.ChunkWrite) {
		w.Outcome = failed(w.Chunk, "run cancelled")
		w.Outcome.Status = backfill.OutcomeCancelled
	}))
	died := newRun(3)
	require.NoError(t, db.Started(t.Context(), died))
	planned := backfill.NewChunk(token, candle.Interval1m, candle.Range{From: day0 + 60*90, To: day0 + 60*95})
	require.NoError(t, db.Planned(t.Context(), died, []backfill.Chunk{planned}))
	lives := newRun(4)
	require.NoError(t, db.Started(t.Context(), lives))
	pending := backfill.NewChunk(token, candle.Interval1m, candle.Range{From: day0 + 60*200, To: day0 + 60*205})
	require.NoError(t, db.Planned(t.Context(), lives, []backfill.Chunk{pending}))
	record := backfill.RunRecord{Run: died, Status: backfill.StatusFailed, CompletedAt: time.Now(), ErrorMessage: "the enqueuer died while planning"}
	require.NoError(t, db.Finished(t.Context(), record))
	require.NoError(t, db.RollBack(t.Context(), first.ID(), someone, false))

	cancelled, failed := stretchOf(60, 10, coverage.CancelledChunk, true), stretchOf(90, 5, coverage.FailedToFetch, true)
	require.Equal(t, []coverage.VerdictSpan{
		stretchOf(0, 5, coverage.Have, false), stretchOf(5, 15, coverage.RolledBack, true, first.ID()), stretchOf(20, 40, coverage.NeverAsked, false),
		cancelled, stretchOf(70, 20, coverage.NeverAsked, false), failed,
	}, judgeAsked(t, db, backfill.CoverageQuery{}))
	require.Equal(t, []coverage.VerdictSpan{stretchOf(0, 15, coverage.Have, false), stretchOf(15, 5, coverage.ConfirmedEmpty, false)},
		judgeAsked(t, db, backfill.CoverageQuery{Any: true, AsOf: before}), "as of then")
}

// Versions that a sweep removed for the sake of a run are gone when that run is rolled back by force: it is that run's doing.
func TestAForcedRollbackIsNamed(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	asking(t, db, 0, 60, minutes(15, 1), nil)
	better := asking(t, db, 1, 15, minutes(15, 2), nil)
	_, err := db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.NoError(t, db.RollBack(t.Context(), better.ID(), someone, true))
	require.Equal(t, []coverage.VerdictSpan{stretchOf(0, 60, coverage.RolledBack, true, better.ID())}, judgeAsked(t, db, backfill.CoverageQuery{}))
}

// What a run rejected leaves with it: where another one confirmed that there is none, an hour is complete, for the judge and for
// resampling, which count the same.
func TestResamplingJudgesAsCoverageDoes(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	corrupt := candle.Candle{OpenTime: day0 + 60*40, Open: 1, High: 1, Low: 2, Close: 1}
	rejects := func(w *backfill.ChunkWrite) {
		w.Rejected = []backfill.Rejection{{Candle: corrupt, Rule: candle.RuleInvalidRange}}
	}
	bad := asking(t, db, 0, 60, nil, rejects)
	asking(t, db, 1, 60, minutes(30, 1), nil)
	s := report.Selection{Tokens: []candle.Token{token}, Interval: candle.Interval1m, Range: firstHour}
	agree := func(verdict coverage.Verdict, unknown int64) {
		t.Helper()
		known, err := report.New(db).Known(t.Context(), s, coverage.Moment{Now: time.Now()})
		require.NoError(t, err)
		require.Equal(t, unknown, known[verdict])
		require.EqualValues(t, 60, known[coverage.Have]+known[coverage.ConfirmedEmpty]+unknown)
		var missing int64
		_, err = report.New(db).Resampled(t.Context(), s, candle.Interval1h, func(b *report.Bucket) error { missing = b.Expected - b.Candles - b.Silent; return nil })
		require.NoError(t, err)
		require.Equal(t, unknown, missing)
	}
	agree(coverage.RejectedCandle, 1)
	require.NoError(t, db.RollBack(t.Context(), bad.ID(), someone, false))
	agree(coverage.RejectedCandle, 0)
	intervals, err := report.New(db).StoredIntervals(t.Context(), s)
	require.NoError(t, err)
	require.Equal(t, []candle.Interval{candle.Interval1m}, intervals)
}

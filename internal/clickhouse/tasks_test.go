package clickhouse

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

func chunksOf(run backfill.Run, n int) []backfill.Chunk {
	chunks := make([]backfill.Chunk, n)
	for i := range chunks {
		chunks[i] = newChunk(run, i)
	}
	return chunks
}

func attemptChunks(t *testing.T, db *DB, runID uuid.UUID, attempt int) map[backfill.ChunkID]backfill.HistoryChunk {
	t.Helper()
	found := map[backfill.ChunkID]backfill.HistoryChunk{}
	require.NoError(t, db.AttemptChunks(t.Context(), runID, attempt, func(batch []backfill.HistoryChunk) error {
		for _, c := range batch {
			require.NotContains(t, found, c.Chunk.ID, "a chunk came twice")
			found[c.Chunk.ID] = c
		}
		return nil
	}))
	return found
}

func TestOutcomeKeepsEveryField(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	chunk := newChunk(run, 0)
	want := backfill.Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range,
		Status:     backfill.OutcomeSuccess,
		Stats:      backfill.Stats{Fetched: 1, Inserted: 2, Rejected: 3, Deduplicated: 4, Shadowed: 1, Skipped: 3, ZeroVolume: 5, Dropped: 6, APICalls: 7, Credits: 8},
		Error:      "tab\t, newline\n, quote ', backslash \\, 漢字",
		ErrorClass: backfill.ClassStore,
		Source:     "birdeye", Executions: 9, Worker: "host-1:42", Version: "1.2.3-rc1",
		StartedAt: time.Unix(1_750_000_000, 1e6).UTC(), EndedAt: time.Unix(1_750_000_001, 999e6).UTC(),
	}
	require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{want}))
	got, found, err := db.Success(t.Context(), backfill.Task{RunID: run.ID(), Attempt: 1, ChunkID: chunk.ID})
	require.NoError(t, err)
	require.True(t, found)
	require.Empty(t, cmp.Diff(want, got))
	require.Equal(t, chunk, attemptChunks(t, db, run.ID(), 1)[chunk.ID].Chunk)

	for _, other := range []backfill.Task{
		{RunID: run.ID(), Attempt: 2, ChunkID: chunk.ID},
		{RunID: uuid.New(), Attempt: 1, ChunkID: chunk.ID},
		{RunID: run.ID(), Attempt: 1, ChunkID: "other"},
	} {
		_, found, err := db.Success(t.Context(), other)
		require.NoError(t, err)
		require.False(t, found)
	}
}

// R2 in the history: none < failed or cancelled < success, and the earlier of equals, in whatever order rows come.
func TestOutcomeThatCounts(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	chunks := chunksOf(run, 5)
	cancelled := failed(chunks[2], "")
	cancelled.Status = backfill.OutcomeCancelled
	better := succeeded(chunks[4], backfill.Stats{Fetched: 2, Inserted: 2})
	record := func(outcomes ...backfill.Outcome) {
		for _, o := range outcomes { // one insert each, as from different workers
			require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{o}))
		}
	}
	record(failed(chunks[0], "first"), failed(chunks[0], "second"))
	record(succeeded(chunks[1], backfill.Stats{}), failed(chunks[1], "late"))
	record(failed(chunks[2], "first"), cancelled)
	record(failed(chunks[3], "first"), succeeded(chunks[3], backfill.Stats{}))
	record(better, succeeded(chunks[4], backfill.Stats{Fetched: 9, Inserted: 9}))
	require.NoError(t, db.Planned(t.Context(), run, chunks), "written late, it hides nothing")

	want := map[backfill.ChunkID]backfill.Outcome{
		chunks[0].ID: failed(chunks[0], "first"),
		chunks[1].ID: succeeded(chunks[1], backfill.Stats{}),
		chunks[2].ID: failed(chunks[2], "first"),
		chunks[3].ID: succeeded(chunks[3], backfill.Stats{}),
		chunks[4].ID: better,
	}
	check := func() {
		got := map[backfill.ChunkID]backfill.Outcome{}
		for id, c := range attemptChunks(t, db, run.ID(), 1) {
			require.NotNil(t, c.Outcome, id)
			got[id] = *c.Outcome
		}
		require.Empty(t, cmp.Diff(want, got))
	}
	check()
	mustExec(t, db, "OPTIMIZE TABLE ohlcv_ingestion_tasks FINAL")
	check()
}

func TestPlannedAndAttempts(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	const n = 2500
	chunks := chunksOf(run, n)
	require.NoError(t, db.Planned(t.Context(), run, chunks))
	require.NoError(t, db.Planned(t.Context(), run, chunks[:n/2]), "a reconciler may write the plan again")
	outcomes := []backfill.Outcome{succeeded(chunks[0], backfill.Stats{}), failed(chunks[1], "x")}
	require.NoError(t, db.RecordOutcomes(t.Context(), run, outcomes))
	extra := newChunk(run, n+1) // its planned row was never written
	require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{succeeded(extra, backfill.Stats{})}))

	count, err := db.PlannedCount(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.Equal(t, n+1, count)
	found := attemptChunks(t, db, run.ID(), 1)
	require.Len(t, found, n+1)
	withOutcome := 0
	for _, c := range found {
		if c.Outcome != nil {
			withOutcome++
		}
	}
	require.Equal(t, 3, withOutcome)
	require.Equal(t, backfill.HistoryChunk{Chunk: chunks[2]}, found[chunks[2].ID])

	second := run
	second.Attempt = 2
	require.NoError(t, db.Planned(t.Context(), second, chunks[1:2]))
	count, err = db.PlannedCount(t.Context(), run.ID(), 2)
	require.NoError(t, err)
	require.Equal(t, 1, count)
	require.Len(t, attemptChunks(t, db, run.ID(), 2), 1)
}

func TestAttemptChunksStopsWithYield(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	require.NoError(t, db.Planned(t.Context(), run, chunksOf(run, attemptChunksPerBatch+1)))
	stop := errors.New("enough")
	calls := 0
	err := db.AttemptChunks(t.Context(), run.ID(), 1, func([]backfill.HistoryChunk) error {
		calls++
		return stop
	})
	require.Equal(t, stop, err)
	require.Equal(t, 1, calls)
}

func TestTasksShowTheLatestAttempt(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	chunks := chunksOf(run, 4)
	require.NoError(t, db.Planned(t.Context(), run, chunks))
	require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{
		succeeded(chunks[0], backfill.Stats{}), failed(chunks[1], "no"), failed(chunks[2], "no"),
	}))
	second := run
	second.Attempt = 2
	require.NoError(t, db.Planned(t.Context(), second, chunks[1:3]))
	require.NoError(t, db.RecordOutcomes(t.Context(), second, []backfill.Outcome{succeeded(chunks[1], backfill.Stats{})}))

	tasks, err := report.New(db).Tasks(t.Context(), run.ID(), report.TaskFilter{}, 100)
	require.NoError(t, err)
	var got []string
	for _, task := range tasks {
		got = append(got, task.Status+string(rune('0'+task.Attempt)))
	}
	require.Equal(t, []string{"success1", "success2", "planned2", "planned1"}, got, "by time, each by its latest attempt")

	filtered, err := report.New(db).Tasks(t.Context(), run.ID(), report.TaskFilter{Statuses: []string{"success"}}, 1)
	require.NoError(t, err)
	require.Len(t, filtered, 1)
	require.Equal(t, chunks[0], filtered[0].Chunk)
	groups, err := report.New(db).FailedChunks(t.Context(), run.ID())
	require.NoError(t, err)
	require.Empty(t, groups, "what was retried is not failed any more")
}

func TestFailedChunksAreGroupedByError(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	chunks := chunksOf(run, 9)
	var outcomes []backfill.Outcome
	for _, c := range chunks[:7] {
		outcomes = append(outcomes, failed(c, "server error 500"))
	}
	other := failed(chunks[7], "it's \\ odd")
	other.ErrorClass = backfill.ClassPermanent
	outcomes = append(outcomes, other, succeeded(chunks[8], backfill.Stats{}))
	require.NoError(t, db.RecordOutcomes(t.Context(), run, outcomes))

	groups, err := report.New(db).FailedChunks(t.Context(), run.ID())
	require.NoError(t, err)
	require.Len(t, groups, 2)
	require.Len(t, groups[0].Samples, 5)
	require.True(t, slices.IsSortedFunc(groups[0].Samples, func(a, b report.FailedSample) int { return int(a.Range.From - b.Range.From) }))
	require.Equal(t, report.FailedSample{ChunkID: chunks[0].ID, Token: token, Range: chunks[0].Range}, groups[0].Samples[0])
	want := []report.FailedGroup{
		{Error: "server error 500", ErrorClass: backfill.ClassUnavailable, Chunks: 7, Tokens: 1},
		{Error: "it's \\ odd", ErrorClass: backfill.ClassPermanent, Chunks: 1, Tokens: 1},
	}
	require.Empty(t, cmp.Diff(want, groups, cmpopts.IgnoreFields(report.FailedGroup{}, "Samples")))
}

func TestRejectedByRule(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	w := newWrite(newRun(0), nil)
	bad := candle.Candle{OpenTime: day0, Open: 1, High: math.NaN(), Low: -1, Close: 2}
	w.Rejected = []backfill.Rejection{
		{Candle: bad, Rule: candle.RuleNotFinite},
		{Candle: priced(day0+60, 1, 0), Rule: candle.RuleZeroVolume},
		{Candle: priced(day0+120, 1, 0), Rule: candle.RuleZeroVolume},
		{Candle: priced(-1, 1, 0), Rule: candle.RuleOffGrid},
	}
	mustWrite(t, db, w)
	mustWrite(t, db, w)
	got, err := report.New(db).RejectedByRule(t.Context(), w.Run.ID())
	require.NoError(t, err)
	require.Equal(t, []report.RejectedCount{
		{Rule: string(candle.RuleZeroVolume), Candles: 2}, {Rule: string(candle.RuleNotFinite), Candles: 1}, {Rule: string(candle.RuleOffGrid), Candles: 1},
	}, got)
}

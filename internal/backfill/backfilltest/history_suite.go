package backfilltest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// historyUnderTest adds to a history what the checks need.
type historyUnderTest struct{ AnyHistory }

// RunHistorySuite holds a history to what the heart relies on. open returns a history of the test's own, without runs.
func RunHistorySuite(t *testing.T, open func(t *testing.T) AnyHistory) {
	for name, check := range map[string]func(*testing.T, historyUnderTest){
		"life of a run":        checkLife,
		"end without a start":  checkEndWithoutStart,
		"chunks":               checkChunks,
		"attempts":             checkAttempts,
		"a chunk's candles":    checkWriteChunk,
		"an error ends a read": checkYieldError,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, historyUnderTest{open(t)})
		})
	}
}

func (h historyUnderTest) requireStatus(t *testing.T, run backfill.Run, attempt int, status backfill.RunStatus) {
	t.Helper()
	record, err := h.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, run.ID(), record.ID())
	require.Equal(t, attempt, record.Attempt)
	require.Equal(t, status, record.Status)
	unfinished, err := h.Unfinished(t.Context())
	require.NoError(t, err)
	listed := slices.ContainsFunc(unfinished, func(u backfill.Run) bool { return u.ID() == run.ID() && u.Attempt == attempt })
	require.Equal(t, status == backfill.StatusRunning, listed)
}

func ended(run backfill.Run, status backfill.RunStatus) backfill.RunRecord {
	record := ResultOf(run)
	record.Status = status
	return record
}

// checkLife: the latest attempt counts, and of it the first end.
func checkLife(t *testing.T, h historyUnderTest) {
	run, _ := NewRun(2)
	_, err := h.Run(t.Context(), run.ID())
	require.ErrorIs(t, err, backfill.ErrUnknownRun)
	require.NoError(t, h.Started(t.Context(), run))
	h.requireStatus(t, run, 1, backfill.StatusRunning)
	require.NoError(t, h.Finished(t.Context(), ended(run, backfill.StatusFailed)))
	h.requireStatus(t, run, 1, backfill.StatusFailed)
	require.NoError(t, h.Finished(t.Context(), ended(run, backfill.StatusCompleted)))
	h.requireStatus(t, run, 1, backfill.StatusFailed)
	require.NoError(t, h.Started(t.Context(), run), "written late")
	h.requireStatus(t, run, 1, backfill.StatusFailed)

	second := run
	second.Attempt, second.RetriedChunks = 2, 1
	require.NoError(t, h.Started(t.Context(), second))
	h.requireStatus(t, run, 2, backfill.StatusRunning)
	require.NoError(t, h.Finished(t.Context(), ended(run, backfill.StatusCompleted)), "of the attempt before")
	h.requireStatus(t, run, 2, backfill.StatusRunning)
	require.NoError(t, h.Finished(t.Context(), ended(second, backfill.StatusCompleted)))
	h.requireStatus(t, run, 2, backfill.StatusCompleted)
}

// checkEndWithoutStart: the start of a run may never have been written.
func checkEndWithoutStart(t *testing.T, h historyUnderTest) {
	run, _ := NewRun(1)
	result := ended(run, backfill.StatusCancelled)
	result.Stats = backfill.Stats{Fetched: 60, Inserted: 58, Rejected: 2}
	result.CancelledChunks, result.ErrorMessage, result.TokensProcessed = 3, "x", 2
	require.NoError(t, h.Finished(t.Context(), result))
	h.requireStatus(t, run, 1, backfill.StatusCancelled)
	record, err := h.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, result.Stats, record.Stats)
	require.Equal(t, 3, record.CancelledChunks)
	require.Equal(t, 2, record.TokensProcessed)
	require.Equal(t, "x", record.ErrorMessage)
	require.Equal(t, run.PlannedChunks, record.PlannedChunks)
	require.True(t, result.CompletedAt.Equal(record.CompletedAt))
}

// chunks reads the chunks of the run's attempt.
func (h historyUnderTest) chunks(t *testing.T, run backfill.Run) map[backfill.ChunkID]backfill.HistoryChunk {
	t.Helper()
	rows := make(map[backfill.ChunkID]backfill.HistoryChunk)
	require.NoError(t, h.AttemptChunks(t.Context(), run.ID(), run.Attempt, func(batch []backfill.HistoryChunk) error {
		for _, row := range batch {
			require.NotContains(t, rows, row.Chunk.ID, "each chunk once")
			rows[row.Chunk.ID] = row
		}
		return nil
	}))
	return rows
}

func requireOutcome(t *testing.T, want backfill.Outcome, got *backfill.Outcome) {
	t.Helper()
	require.NotNil(t, got)
	require.Empty(t, cmp.Diff(want, *got, cmpopts.EquateEmpty()))
}

// checkChunks: planned < failed or cancelled < success, and of equal ones the first.
func checkChunks(t *testing.T, h historyUnderTest) {
	run, plan := NewRun(4)
	require.NoError(t, h.Planned(t.Context(), run, plan[:3]))
	first := OutcomeOf(plan[0], backfill.OutcomeFailed)
	again := OutcomeOf(plan[0], backfill.OutcomeCancelled)
	success := OutcomeOf(plan[1], backfill.OutcomeSuccess)
	for _, o := range []backfill.Outcome{first, again, OutcomeOf(plan[1], backfill.OutcomeFailed), success,
		OutcomeOf(plan[1], backfill.OutcomeFailed), OutcomeOf(plan[3], backfill.OutcomeCancelled)} {
		require.NoError(t, h.RecordOutcomes(t.Context(), run, []backfill.Outcome{o}))
	}
	require.NoError(t, h.Planned(t.Context(), run, plan[:3]), "written late")
	rows := h.chunks(t, run)
	require.Len(t, rows, 4)
	for _, chunk := range plan {
		require.Equal(t, chunk, rows[chunk.ID].Chunk)
	}
	requireOutcome(t, first, rows[plan[0].ID].Outcome)
	requireOutcome(t, success, rows[plan[1].ID].Outcome)
	require.Nil(t, rows[plan[2].ID].Outcome)
	requireOutcome(t, OutcomeOf(plan[3], backfill.OutcomeCancelled), rows[plan[3].ID].Outcome)
	count, err := h.PlannedCount(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.Equal(t, 4, count, "planned, or with an outcome")

	got, found, err := h.Success(t.Context(), TaskOf(run, plan[1]))
	require.NoError(t, err)
	require.True(t, found)
	requireOutcome(t, success, &got)
	for _, task := range []backfill.Task{
		TaskOf(run, plan[0]), TaskOf(run, plan[2]), {RunID: run.ID(), Attempt: 2, ChunkID: plan[1].ID}, {RunID: uuid.New(), Attempt: 1, ChunkID: plan[1].ID},
	} {
		_, found, err := h.Success(t.Context(), task)
		require.NoError(t, err)
		require.False(t, found)
	}
}

// checkAttempts: what any attempt filled is filled.
func checkAttempts(t *testing.T, h historyUnderTest) {
	run, plan := NewRun(3)
	second := run
	second.Attempt, second.RetriedChunks = 2, 2
	third := second
	third.Attempt = 3
	record := func(run backfill.Run, chunk int, status backfill.OutcomeStatus) {
		require.NoError(t, h.RecordOutcomes(t.Context(), run, []backfill.Outcome{OutcomeOf(plan[chunk], status)}))
	}
	require.NoError(t, h.Planned(t.Context(), run, plan))
	record(run, 0, backfill.OutcomeSuccess)
	record(run, 1, backfill.OutcomeFailed)
	unfilled := func() (ids []backfill.ChunkID) {
		total, err := h.Unsuccessful(t.Context(), run.ID(), func(chunks []backfill.Chunk) error {
			for _, c := range chunks {
				ids = append(ids, c.ID)
			}
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, 3, total)
		return ids
	}
	require.ElementsMatch(t, []backfill.ChunkID{plan[1].ID, plan[2].ID}, unfilled())
	require.NoError(t, h.Planned(t.Context(), second, plan[1:]))
	record(second, 1, backfill.OutcomeSuccess)
	record(second, 2, backfill.OutcomeFailed)
	record(third, 0, backfill.OutcomeSuccess)
	require.Equal(t, []backfill.ChunkID{plan[2].ID}, unfilled())
	record(run, 2, backfill.OutcomeSuccess) // late
	require.Empty(t, unfilled())

	for attempt, want := range map[int][]backfill.ChunkID{1: nil, 2: {plan[0].ID, plan[2].ID}, 4: {plan[0].ID, plan[1].ID, plan[2].ID}} {
		var got []backfill.ChunkID
		require.NoError(t, h.SuccessesBefore(t.Context(), run.ID(), attempt, func(outcomes []backfill.Outcome) error {
			for _, o := range outcomes {
				got = append(got, o.ChunkID)
			}
			return nil
		}))
		require.ElementsMatch(t, want, got, "before attempt %d", attempt)
	}
}

// checkWriteChunk: candles and outcome come together, and writing them again changes nothing.
func checkWriteChunk(t *testing.T, h historyUnderTest) {
	run, plan := NewRun(1)
	write := backfill.ChunkWrite{
		Run: run, Chunk: plan[0], Outcome: OutcomeOf(plan[0], backfill.OutcomeSuccess),
		Candles: []candle.Candle{{OpenTime: 60, Open: 1, High: 1, Low: 1, Close: 1, Volume: 1}},
	}
	for range 2 {
		recorded, err := h.WriteChunk(t.Context(), write)
		require.NoError(t, err)
		require.True(t, recorded)
	}
	rows := h.chunks(t, run)
	require.Len(t, rows, 1)
	requireOutcome(t, write.Outcome, rows[plan[0].ID].Outcome)
	shadowed, err := h.Shadowed(t.Context(), run)
	require.NoError(t, err)
	require.Zero(t, shadowed, "no other run serves them")
}

// checkYieldError: an error of the reader ends the reading and comes back.
func checkYieldError(t *testing.T, h historyUnderTest) {
	run, plan := NewRun(2)
	require.NoError(t, h.Planned(t.Context(), run, plan))
	calls := 0
	err := h.AttemptChunks(t.Context(), run.ID(), 1, func([]backfill.HistoryChunk) error {
		calls++
		return backfill.ErrStale
	})
	require.ErrorIs(t, err, backfill.ErrStale)
	require.Equal(t, 1, calls)
}

package ledger_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestALeaseLastsAndEnds(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)
	admit(t, l, run, plan[0])
	key := "quantbot:{" + run.ID().String() + "}:a1:lease"
	now := client.Time(t.Context()).Val()
	ends := client.ZScore(t.Context(), key, string(plan[0].ID)).Val()
	require.InDelta(t, float64(now.Add(backfill.LeaseTime).UnixMicro()), ends, 5e6)

	expire(t, client, run, plan[0])
	lost, err := l.Renew(t.Context(), []backfill.Execution{executionOf(run, plan[0], epoch, 1), executionOf(run, plan[1], epoch, 1)})
	require.NoError(t, err)
	require.Equal(t, []backfill.Execution{executionOf(run, plan[1], epoch, 1)}, lost, "it was never admitted")
	require.Equal(t, backfill.Held, admit(t, l, run, plan[0]).Verdict, "a lease that nobody took over is renewed")

	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	require.Zero(t, client.Exists(t.Context(), key).Val())
	unknown := executionOf(run, plan[0], epoch, 1)
	unknown.Task.RunID = uuid.New()
	lost, err = l.Renew(t.Context(), []backfill.Execution{executionOf(run, plan[0], epoch, 1), unknown})
	require.NoError(t, err)
	require.Len(t, lost, 2)
}

// Of two that replace the task of the same dead worker, one enqueues.
func TestOneOfManyRegenerates(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	sealRun(t, l, run, plan)
	admit(t, l, run, plan[0])
	_, ok, err := l.Regenerate(t.Context(), taskOf(run, plan[0]), 0)
	require.NoError(t, err)
	require.False(t, ok, "its worker lives")
	expire(t, client, run, plan[0])
	expired, err := l.Expired(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.Equal(t, []backfill.ExpiredLease{{Task: taskOf(run, plan[0]), Execution: 1}}, expired)
	next, ok, err := l.Regenerate(t.Context(), taskOf(run, plan[0]), 0)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, 1, next)
	_, ok, err = l.Regenerate(t.Context(), taskOf(run, plan[0]), 0)
	require.NoError(t, err)
	require.False(t, ok)
	expired, err = l.Expired(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.Empty(t, expired)
}

func TestTooManyRejectedCandlesHaltTheRun(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(4)
	run.Manifest.HaltRejectionRate = 0.5
	epoch := sealRun(t, l, run, plan)
	put := func(i int, fetched, rejected int64, halted bool) {
		t.Helper()
		outcome := outcomeOf(plan[i], backfill.OutcomeSuccess)
		outcome.Stats = backfill.Stats{Fetched: fetched, Inserted: fetched - rejected, Rejected: rejected}
		require.Equal(t, halted, record(t, l, run, epoch, outcome).Halted)
	}
	put(0, 999, 999, false) // too few to judge
	put(1, 1_001, 1, false) // exactly the limit
	require.False(t, stateOf(t, l, run).Cancelled)
	put(2, 10, 10, true)
	state := stateOf(t, l, run)
	require.True(t, state.Cancelled)
	require.Equal(t, "1010 of 2010 candles rejected, above the limit of 50%", state.Halted)
	require.Equal(t, backfill.RunCancelled, admit(t, l, run, plan[3]).Verdict)
}

func TestCreditsAboveTheCapHaltTheRun(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(3)
	run.Manifest.MaxCredits = 200
	epoch := sealRun(t, l, run, plan)
	for i, halted := range []bool{false, true} {
		outcome := outcomeOf(plan[i], backfill.OutcomeFailed) // failures cost as much
		outcome.Stats = backfill.Stats{Credits: 120}
		require.Equal(t, halted, record(t, l, run, epoch, outcome).Halted)
	}
	require.Equal(t, "240 credits used, above the cap of 200", stateOf(t, l, run).Halted)
	require.Equal(t, backfill.RunCancelled, admit(t, l, run, plan[2]).Verdict)
}

func TestRestoredOutcomesCount(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(600)
	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	var outcomes []backfill.Outcome
	for _, chunk := range plan[:500] {
		outcomes = append(outcomes, outcomeOf(chunk, backfill.OutcomeSuccess))
	}
	for range 2 {
		require.NoError(t, l.RestoreOutcomes(t.Context(), run.ID(), epoch, 1, outcomes))
		require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan))
	}
	state := stateOf(t, l, run)
	require.Equal(t, 100, state.Pending)
	require.Equal(t, backfilltest.ProgressOf(outcomesOf(t, l, run)), state.Progress)
	require.EqualValues(t, 500, state.Progress.Succeeded)
	require.ErrorIs(t, l.RestoreOutcomes(t.Context(), run.ID(), epoch-1, 1, outcomes), backfill.ErrStale)
	chunk, err := l.PlannedChunk(t.Context(), taskOf(run, plan[7]))
	require.NoError(t, err)
	require.Equal(t, plan[7], chunk)
}

func TestRepairsAreCounted(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	require.ErrorIs(t, l.Count(t.Context(), run.ID(), backfill.RepairOrphan, 2), backfill.ErrUnknownRun)
	sealRun(t, l, run, plan)
	require.NoError(t, l.Count(t.Context(), run.ID(), backfill.RepairOrphan, 2))
	require.NoError(t, l.Count(t.Context(), run.ID(), backfill.RepairOrphan, 1))
	repairs, err := l.Repairs(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, map[backfill.RepairAction]int64{backfill.RepairOrphan: 3}, repairs)
	require.Equal(t, "5", client.HGet(t.Context(), "quantbot:reconciler:actions", string(backfill.RepairOrphan)).Val())
}

func TestLateSuccessesAreListed(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)
	finishRun(t, l, run, plan, epoch, backfill.OutcomeFailed)
	want := outcomeOf(plan[1], backfill.OutcomeSuccess)
	require.False(t, record(t, l, run, epoch, want).Kept)
	late, err := l.Late(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, []backfill.Outcome{want}, late)
}

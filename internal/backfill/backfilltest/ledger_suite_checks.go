package backfilltest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// checkSpentAndTried: what executions spent and met without an outcome is there for the next one.
func checkSpentAndTried(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(1)
	l.seal(t, run, plan)
	admit := func() backfill.Admission {
		admission, err := l.Admit(t.Context(), TaskOf(run, plan[0]))
		require.NoError(t, err)
		return admission
	}
	for i, class := range []backfill.Class{backfill.ClassUnavailable, backfill.ClassUnknown, backfill.ClassParked, backfill.ClassUnavailable} {
		admission := admit()
		require.Equal(t, backfill.Proceed, admission.Verdict)
		require.Equal(t, i+1, admission.Executions)
		require.Zero(t, admission.Crashes)
		e := backfill.Execution{Task: TaskOf(run, plan[0]), Epoch: admission.Epoch, Number: admission.Executions}
		count, err := l.HandBack(t.Context(), e, class, backfill.Cost{Calls: 2, Credits: 100})
		require.NoError(t, err)
		require.Equal(t, 1+i/3, count, "by class")
	}
	admission := admit()
	require.Equal(t, 3, admission.Unanswered, "a quota that is used up is an answer")
	require.Equal(t, backfill.Cost{Calls: 8, Credits: 400}, admission.Spent)
}

// checkHaltByRejected: too large a share of rejected candles cancels the run, once enough have come.
func checkHaltByRejected(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(4)
	run.Manifest.HaltRejectionRate = 0.1
	epoch := l.seal(t, run, plan)
	outcome := func(i int, fetched, rejected int64) backfill.Outcome {
		o := OutcomeOf(plan[i], backfill.OutcomeSuccess)
		o.Stats = backfill.Stats{Fetched: fetched, Inserted: fetched - rejected, Rejected: rejected}
		return o
	}
	require.False(t, l.record(t, run, epoch, outcome(0, 100, 100)).Halted, "too few to judge")
	require.False(t, l.record(t, run, epoch, outcome(1, 900, 0)).Halted, "just the limit")
	require.True(t, l.record(t, run, epoch, outcome(2, 100, 100)).Halted)
	require.False(t, l.record(t, run, epoch, outcome(3, 100, 100)).Halted, "once")
	state := l.state(t, run)
	require.True(t, state.Cancelled)
	require.Equal(t, "200 of 1100 candles rejected, above the limit of 10%", state.Halted)
}

// checkHaltByCredits: a run that passes its cap of credits is cancelled.
func checkHaltByCredits(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(2)
	run.Manifest.MaxCredits = 100
	epoch := l.seal(t, run, plan)
	for i, credits := range []int64{100, 1} {
		outcome := OutcomeOf(plan[i], backfill.OutcomeSuccess)
		outcome.Stats.Credits = credits
		require.Equal(t, i == 1, l.record(t, run, epoch, outcome).Halted)
	}
	require.Equal(t, "101 credits used, above the cap of 100", l.state(t, run).Halted)
}

// checkRestored: successes of the history stand in a rebuilt run, and count once.
func checkRestored(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(2)
	epoch, err := l.Rebuild(t.Context(), run)
	require.NoError(t, err)
	success := OutcomeOf(plan[0], backfill.OutcomeSuccess)
	require.ErrorIs(t, l.RestoreOutcomes(t.Context(), run.ID(), epoch-1, 1, []backfill.Outcome{success}), backfill.ErrStale)
	for range 2 {
		require.NoError(t, l.RestoreOutcomes(t.Context(), run.ID(), epoch, 1, []backfill.Outcome{success}))
	}
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan))
	finish, err := l.Seal(t.Context(), run.ID(), epoch)
	require.NoError(t, err)
	require.False(t, finish)
	state := l.state(t, run)
	require.Equal(t, 1, state.Pending)
	require.Equal(t, backfill.Progress{Succeeded: 1, Fetched: 60, Inserted: 58, Rejected: 2}, state.Progress)
	admission, err := l.Admit(t.Context(), TaskOf(run, plan[1]))
	require.NoError(t, err)
	require.True(t, admission.Rebuilt)
	require.ErrorIs(t, l.RestoreOutcomes(t.Context(), uuid.New(), epoch, 1, []backfill.Outcome{success}), backfill.ErrUnknownRun)
}

// checkEndCancelled: of many chunks, those without an outcome end as cancelled.
func checkEndCancelled(t *testing.T, l LedgerUnderTest) {
	const chunks = 1_300 // more than a call of any script takes
	run, plan := NewRun(chunks)
	epoch := l.seal(t, run, plan)
	l.record(t, run, epoch, OutcomeOf(plan[0], backfill.OutcomeSuccess))
	outcomes := make([]backfill.Outcome, chunks)
	for i, chunk := range plan {
		outcomes[i] = OutcomeOf(chunk, backfill.OutcomeCancelled)
	}
	require.ErrorIs(t, l.EndCancelled(t.Context(), run.ID(), 1, epoch-1, outcomes), backfill.ErrStale)
	require.NoError(t, l.EndCancelled(t.Context(), run.ID(), 1, epoch, outcomes))
	state := l.state(t, run)
	require.Zero(t, state.Pending)
	require.EqualValues(t, 1, state.Progress.Succeeded)
	require.EqualValues(t, chunks-1, state.Progress.Cancelled)
	l.end(t, run)
	require.NoError(t, l.EndCancelled(t.Context(), run.ID(), 1, epoch, outcomes), "an attempt that is over stays what it is")
	require.ErrorIs(t, l.EndCancelled(t.Context(), uuid.New(), 1, epoch, outcomes), backfill.ErrUnknownRun)
}

// checkDuties: one holder at a time has a duty, and another one has another.
func checkDuties(t *testing.T, l LedgerUnderTest) {
	lease := func(duty backfill.Duty, holder string, ttl time.Duration) bool {
		held, err := l.Lease(t.Context(), duty, holder, ttl)
		require.NoError(t, err)
		return held
	}
	require.True(t, lease(backfill.DutyReconcile, "a", time.Minute))
	require.True(t, lease(backfill.DutyReconcile, "a", time.Minute), "renewed")
	require.False(t, lease(backfill.DutyReconcile, "b", time.Minute))
	require.True(t, lease(backfill.DutyAlerts, "b", time.Minute))
	require.NoError(t, l.ReleaseLease(t.Context(), backfill.DutyReconcile, "b"))
	require.False(t, lease(backfill.DutyReconcile, "b", time.Minute), "another's is not released")
	require.NoError(t, l.ReleaseLease(t.Context(), backfill.DutyReconcile, "a"))
	require.True(t, lease(backfill.DutyReconcile, "b", time.Millisecond))
	require.Eventually(t, func() bool { return lease(backfill.DutyReconcile, "a", time.Minute) }, 2*time.Minute, time.Millisecond, "it ends by itself")
}

// checkPages: a scan that goes on while chunks end sees every chunk that stays pending.
func checkPages(t *testing.T, l LedgerUnderTest) {
	const chunks = 2_000
	run, plan := NewRun(chunks)
	epoch := l.seal(t, run, plan)
	seen := make(map[backfill.ChunkID]bool)
	for cursor := uint64(0); ; {
		page, next, err := l.PendingPage(t.Context(), run.ID(), 1, cursor)
		require.NoError(t, err)
		for i, p := range page {
			seen[p.Chunk.ID] = true
			if i == 0 {
				l.record(t, run, epoch, OutcomeOf(p.Chunk, backfill.OutcomeFailed))
			}
		}
		if cursor = next; next == 0 {
			break
		}
	}
	require.Len(t, seen, chunks)
	for _, chunk := range plan {
		require.Contains(t, seen, chunk.ID)
	}
}

// checkActiveRuns: a run is active until its end is archived.
func checkActiveRuns(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(1)
	epoch := l.seal(t, run, plan)
	active := func() []uuid.UUID {
		runs, err := l.ActiveRuns(t.Context())
		require.NoError(t, err)
		return runs
	}
	require.Equal(t, []uuid.UUID{run.ID()}, active())
	require.NoError(t, l.Forget(t.Context(), run.ID()))
	require.Equal(t, []uuid.UUID{run.ID()}, active(), "it has a state")
	require.ErrorIs(t, l.Archive(t.Context(), run.ID(), 1), backfill.ErrNotDone)
	l.record(t, run, epoch, OutcomeOf(plan[0], backfill.OutcomeFailed))
	l.end(t, run)
	require.Equal(t, []uuid.UUID{run.ID()}, active())
	require.NoError(t, l.Archive(t.Context(), run.ID(), 1))
	require.Empty(t, active())

	second := run
	second.Attempt, second.RetriedChunks = 2, 1
	l.seal(t, second, plan)
	require.NoError(t, l.Archive(t.Context(), run.ID(), 1), "of the attempt before")
	require.Equal(t, []uuid.UUID{run.ID()}, active())
}

// checkNotices: what processes note of a run is there for people and other processes.
func checkNotices(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(1)
	require.ErrorIs(t, l.SetHistoryStale(t.Context(), run.ID(), true), backfill.ErrUnknownRun)
	epoch := l.seal(t, run, plan)
	require.NoError(t, l.SetHistoryStale(t.Context(), run.ID(), true))
	require.True(t, l.state(t, run).HistoryStale)
	require.NoError(t, l.SetHistoryStale(t.Context(), run.ID(), false))
	require.False(t, l.state(t, run).HistoryStale)

	require.NoError(t, l.Count(t.Context(), run.ID(), backfill.RepairOrphan, 2))
	require.NoError(t, l.Count(t.Context(), run.ID(), backfill.RepairOrphan, 1))
	repairs, err := l.Repairs(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, map[backfill.RepairAction]int64{backfill.RepairOrphan: 3}, repairs)
	require.ErrorIs(t, l.Count(t.Context(), uuid.New(), backfill.RepairOrphan, 1), backfill.ErrUnknownRun)

	require.NoError(t, l.Heartbeat(t.Context(), run.ID(), epoch))
	require.Less(t, l.state(t, run).HeartbeatAge, backfill.HeartbeatStale)
	require.ErrorIs(t, l.Heartbeat(t.Context(), run.ID(), epoch-1), backfill.ErrStale)
	require.ErrorIs(t, l.Heartbeat(t.Context(), uuid.New(), epoch), backfill.ErrUnknownRun)
	chunk, err := l.PlannedChunk(t.Context(), TaskOf(run, plan[0]))
	require.NoError(t, err)
	require.Equal(t, plan[0], chunk)
	_, err = l.PlannedChunk(t.Context(), backfill.Task{RunID: run.ID(), Attempt: 1, ChunkID: "none"})
	require.ErrorIs(t, err, backfill.ErrUnknownRun)
}

package backfill_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

// failed returns a run of so many chunks of which the last failed and the others are filled.
func (h *harness) failed(t *testing.T, chunks int) (backfill.Run, []backfill.Chunk) {
	t.Helper()
	run, plan := h.launched(t, chunks)
	h.source.errs = make([]error, chunks)
	h.source.errs[chunks-1] = classed(backfill.ClassPermanent)
	h.work(t)
	require.Equal(t, backfill.StatusFailed, h.record(t, run).Status)
	return run, plan
}

func (h *harness) retry(t *testing.T, run backfill.Run) backfill.Run {
	t.Helper()
	next, err := h.retrier.Retry(t.Context(), run.ID(), false)
	require.NoError(t, err)
	return next
}

func TestRetryTakesUpWhatNoAttemptFilled(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"the ledger has the run": false, "the ledger has forgotten it": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, _ := h.failed(t, 3)
				if lost {
					h.ledger.Lose()
				}
				h.retrier.DeploymentID = uuid.New()
				second := h.retry(t, run)
				require.Equal(t, 2, second.Attempt)
				require.Equal(t, 1, second.RetriedChunks)
				require.Equal(t, h.retrier.DeploymentID, second.Manifest.DeploymentID)
				h.work(t)
				h.requireComplete(t, second)
				require.Zero(t, h.record(t, run).FailedChunks)
				require.Equal(t, 4, h.source.calls)
			})
		})
	}
}

func TestRetryIsRefusedInTheseStates(t *testing.T) {
	t.Parallel()
	for reason, prepare := range map[backfill.RefusalReason]func(t *testing.T, h *harness) backfill.Run{
		backfill.RefusedRetryRunning: func(t *testing.T, h *harness) backfill.Run {
			run, _ := h.launched(t, 1)
			return run
		},
		backfill.RefusedRetryLost: func(t *testing.T, h *harness) backfill.Run {
			run, _ := h.launched(t, 1)
			h.ledger.Lose()
			return run
		},
		backfill.RefusedRetryRolledBack: func(t *testing.T, h *harness) backfill.Run {
			run, _ := h.failed(t, 1)
			h.history.RollBack(run.ID())
			return run
		},
		backfill.RefusedNothingToRetry: func(t *testing.T, h *harness) backfill.Run {
			run, _ := h.launched(t, 1)
			h.work(t)
			return run
		},
		backfill.RefusedRetryUnplanned: func(t *testing.T, h *harness) backfill.Run {
			run, _ := backfilltest.NewRun(3)
			_, err := h.ledger.Open(t.Context(), run, false)
			require.NoError(t, err)
			h.ledger.StaleHeartbeat(run.ID())
			h.round(t)
			return run
		},
		backfill.RefusedSameInput: func(t *testing.T, h *harness) backfill.Run {
			run, _ := h.failed(t, 1)
			twin, plan := backfilltest.NewRun(1)
			twin.Manifest.InputHash = run.Manifest.InputHash
			require.NoError(t, h.launcher.Launch(t.Context(), twin, plan, false))
			return run
		},
	} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run := prepare(t, h)
				waiting := h.queue.Waiting()
				_, err := h.retrier.Retry(t.Context(), run.ID(), false)
				require.Equal(t, reason, backfill.RefusalOf(err))
				require.Equal(t, waiting, h.queue.Waiting(), "nothing was done")
				_, err = h.retrier.Retry(t.Context(), uuid.New(), false)
				require.ErrorIs(t, err, backfill.ErrUnknownRun)
			})
		})
	}
}

// A worker stored its candles when its run had just been cancelled: the retry counts them, and no worker is needed.
func TestRetryCountsALateSuccess(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 1)
		h.history.Before("WriteChunk", func() error {
			require.NoError(t, h.canceller.Cancel(t.Context(), run.ID()))
			return nil
		})
		require.NoError(t, h.take(t, run, plan[0]))
		require.Equal(t, backfill.StatusCancelled, h.record(t, run).Status)
		second := h.retry(t, run)
		require.Zero(t, second.RetriedChunks)
		require.Equal(t, backfill.StatusCompleted, h.record(t, run).Status)
		require.EqualValues(t, 1, h.record(t, run).Stats.Inserted)
		require.Equal(t, 1, h.source.calls)
	})
}

// The late success is in the ledger alone, because its worker could not write the row: Retry writes it.
func TestRetryWritesALateSuccessThatTheHistoryMissed(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.failed(t, 1)
		late := backfilltest.OutcomeOf(plan[0], backfill.OutcomeSuccess)
		_, err := h.ledger.Record(t.Context(), backfilltest.TaskOf(run, plan[0]), h.state(t, run).Epoch, late)
		require.NoError(t, err)
		h.history.Fail("RecordOutcomes", errTest)
		_, err = h.retrier.Retry(t.Context(), run.ID(), false)
		require.ErrorContains(t, err, "write the late outcomes")
		h.history.Fail("RecordOutcomes", nil)
		require.Zero(t, h.retry(t, run).RetriedChunks)
		require.Equal(t, backfill.StatusCompleted, h.record(t, run).Status)
		require.Equal(t, late.Stats, h.record(t, run).Stats)
	})
}

// The history had no end of the run yet: Retry writes it first.
func TestRetryCatchesUpWithAnEndThatTheHistoryMissed(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		h.history.Fail("Finished", errTest)
		run, _ := h.launched(t, 1)
		h.source.errs = []error{classed(backfill.ClassPermanent)}
		h.work(t)
		require.Equal(t, backfill.StatusRunning, h.record(t, run).Status)
		h.history.Fail("Finished", nil)
		second := h.retry(t, run)
		h.work(t)
		h.requireComplete(t, second)
	})
}

func TestALostLedgerIsRebuiltFromTheHistory(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 4)
		require.NoError(t, h.take(t, run, plan[0]))
		h.ledger.Lose()
		h.queue.Lose()
		h.round(t)
		state := h.state(t, run)
		require.Equal(t, backfill.PhaseRunning, state.Phase)
		require.Equal(t, 3, state.Pending)
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairRebuilt: 1})
		h.round(t)
		h.work(t)
		h.requireComplete(t, run)
		require.Equal(t, 4, h.source.calls)
	})
}

// A retry that is rebuilt has what the attempts before it brought.
func TestALostRetryIsRebuiltWithTheAttemptsBefore(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.failed(t, 3)
		second := h.retry(t, run)
		h.ledger.Lose()
		h.queue.Lose()
		h.round(t)
		require.Equal(t, 1, h.state(t, run).Pending)
		h.work(t)
		h.requireComplete(t, second)
	})
}

func TestACancelledRunThatWasLostStaysCancelled(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 3)
		require.NoError(t, h.history.RecordOutcomes(t.Context(), run, []backfill.Outcome{backfilltest.OutcomeOf(plan[0], backfill.OutcomeCancelled)}))
		h.ledger.Lose()
		h.round(t)
		require.True(t, h.state(t, run).Cancelled)
		h.round(t)
		record := h.record(t, run)
		require.Equal(t, backfill.StatusCancelled, record.Status)
		require.Equal(t, 3, record.CancelledChunks)
	})
}

// The history has only part of the plan: nobody knows what the run was to fetch.
func TestALostRunWithoutItsPlanFails(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := backfilltest.NewRun(3)
		require.NoError(t, h.history.Started(t.Context(), run))
		require.NoError(t, h.history.Planned(t.Context(), run, plan[:2]))
		h.round(t)
		record := h.record(t, run)
		require.Equal(t, backfill.StatusFailed, record.Status)
		require.Equal(t, "enqueuer died while planning", record.ErrorMessage)
	})
}

// Several processes may rebuild a run at once: one does.
func TestARunIsRebuiltOnce(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 2)
		require.NoError(t, h.reconciler.Rebuild(t.Context(), run), "the ledger has it")
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{})
		h.ledger.Lose()
		require.NoError(t, h.reconciler.Resume(t.Context(), run))
		require.NoError(t, h.reconciler.Resume(t.Context(), run))
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairRebuilt: 1})
		h.work(t)
		h.requireComplete(t, run)
	})
}

func TestARunOfAnotherDeploymentIsNotResumed(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := backfilltest.NewRun(1)
		run.Manifest.DeploymentID = uuid.New()
		require.NoError(t, h.history.Started(t.Context(), run))
		h.reconciler.Deployment = backfill.NewDeploymentGuard(backfill.GuardConfig{})
		require.ErrorAs(t, h.reconciler.Resume(t.Context(), run), new(*backfill.StrangerError))
		_, err := h.ledger.State(t.Context(), run.ID())
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
	})
}

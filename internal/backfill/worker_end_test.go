package backfill_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestAChunkThatCannotBeHandedBackComesAgain(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 1)
		h.source.always = classed(backfill.ClassPermanent)
		h.ledger.Fail("HandBack", classed(backfill.ClassStore))
		err := h.take(t, run, plan[0])
		require.ErrorIs(t, err, errTest)
		require.False(t, givenUp(err))
		require.Nil(t, h.outcome(t, run, plan[0]))
	})
}

// The history is away when a chunk fails: Finish writes its row.
func TestAnOutcomeThatTheHistoryMissedIsWrittenByFinish(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 1)
		h.source.always = classed(backfill.ClassPermanent)
		h.history.Fail("RecordOutcomes", errTest)
		require.True(t, givenUp(h.take(t, run, plan[0])))
		require.True(t, h.outcome(t, run, plan[0]).Unrecorded)
		require.Empty(t, h.history.Outcomes(run.ID(), 1))
		h.history.Fail("RecordOutcomes", nil)
		h.work(t)
		require.Equal(t, backfill.StatusFailed, h.record(t, run).Status)
		require.Equal(t, backfill.OutcomeFailed, h.history.Outcomes(run.ID(), 1)[plan[0].ID].Status)
	})
}

// An outcome that cannot be recorded leaves the chunk to the next execution, which adopts it.
func TestAnOutcomeThatIsNotRecordedIsTriedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err   error
		class backfill.Class
	}{
		"rebuilt":        {backfill.ErrStale, backfill.ClassStore},
		"lost":           {backfill.ErrUnknownRun, backfill.ClassStore},
		"ledger is away": {classed(backfill.ClassStore), backfill.ClassStore},
		"not in plan":    {classed(backfill.ClassPermanent), backfill.ClassPermanent},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, plan := h.launched(t, 1)
				h.ledger.Fail("Record", test.err)
				err := h.take(t, run, plan[0])
				require.ErrorContains(t, err, "record chunk "+string(plan[0].ID))
				require.Equal(t, test.class, backfill.ClassOf(err))
				h.ledger.Fail("Record", nil)
				h.ledger.ExpireLeases(run.ID())
				h.work(t)
				h.requireComplete(t, run)
				require.Equal(t, 1, h.source.calls)
			})
		})
	}
}

// The worker is interrupted between storing and recording: what is stored is recorded all the same.
func TestWhatIsStoredIsRecordedAfterAnInterruption(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 1)
		ctx, interrupt := context.WithCancel(t.Context())
		h.history.Before("WriteChunk", func() error { interrupt(); return nil })
		require.NoError(t, h.worker.Work(ctx, backfilltest.TaskOf(run, plan[0]), plan[0]))
		require.Equal(t, backfill.OutcomeSuccess, h.outcome(t, run, plan[0]).Status)
	})
}

func TestARunHaltsWhenItPassesItsCap(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := backfilltest.NewRun(4)
		run.Manifest.MaxCredits = 15
		require.NoError(t, h.launcher.Launch(t.Context(), run, plan, false))
		h.work(t)
		record := h.record(t, run)
		require.Equal(t, backfill.StatusFailed, record.Status)
		require.Equal(t, "halted: 20 credits used, above the cap of 15", record.ErrorMessage)
		require.Equal(t, 2, record.CancelledChunks)
		require.Equal(t, 2, h.source.calls)
		require.Contains(t, h.logs.String(), "the run halts")
	})
}

func TestASignalThatIsLostIsMadeUpForByTheReconciler(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 2)
		h.queue.Fail("EnqueueFinish", classed(backfill.ClassStore))
		h.work(t)
		require.Equal(t, backfill.StatusRunning, h.record(t, run).Status)
		require.Contains(t, h.logs.String(), "the reconciler will finish the run")
		h.round(t)
		h.requireComplete(t, run)
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairFinished: 1})
	})
}

// A chunk of another deployment is left alone however often it comes, and fails never.
func TestAChunkOfAnotherDeploymentIsLeftAlone(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := backfilltest.NewRun(1)
		run.Manifest.DeploymentID = uuid.New()
		require.NoError(t, h.launcher.Launch(t.Context(), run, plan, false))
		h.worker.Deployment = backfill.NewDeploymentGuard(backfill.GuardConfig{Logger: slog.New(slog.DiscardHandler)})
		for range 30 {
			err := h.take(t, run, plan[0])
			require.Equal(t, backfill.ClassForeign, backfill.ClassOf(err))
			require.ErrorContains(t, err, "belongs to deployment")
			require.False(t, givenUp(err))
		}
		require.Nil(t, h.outcome(t, run, plan[0]))
		require.Zero(t, h.source.calls)
		h.worker.Deployment = nil
		h.work(t)
		h.requireComplete(t, run)
	})
}

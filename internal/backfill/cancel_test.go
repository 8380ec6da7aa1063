package backfill_test

import (
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestCancelEndsWhatIsPending(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 4)
		require.NoError(t, h.take(t, run, plan[0]))
		require.NoError(t, h.canceller.Cancel(t.Context(), run.ID()))
		record := h.record(t, run)
		require.Equal(t, backfill.StatusCancelled, record.Status)
		require.Equal(t, 3, record.CancelledChunks)
		require.EqualValues(t, 1, record.Stats.Inserted)
		rows := h.history.Outcomes(run.ID(), 1)
		require.Equal(t, backfill.OutcomeSuccess, rows[plan[0].ID].Status)
		require.Equal(t, backfill.OutcomeCancelled, rows[plan[1].ID].Status)
		require.Equal(t, "c", rows[plan[1].ID].Worker)
		h.work(t)
		require.Equal(t, 1, h.source.calls, "its tasks are acknowledged")
		require.ErrorIs(t, h.canceller.Cancel(t.Context(), run.ID()), backfill.ErrFinished)
		require.ErrorIs(t, h.canceller.Cancel(t.Context(), uuid.New()), backfill.ErrUnknownRun)
	})
}

// More chunks than one insert or page takes.
func TestCancelEndsMoreThanOneBatch(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		const chunks = 12_000
		run, _ := h.launched(t, chunks)
		var inserts atomic.Int64
		h.history.Before("RecordOutcomes", func() error { inserts.Add(1); return nil })
		require.NoError(t, h.canceller.Cancel(t.Context(), run.ID()))
		require.Equal(t, chunks, h.record(t, run).CancelledChunks)
		require.EqualValues(t, 3, inserts.Load())
	})
}

// Cancelled while its enqueuer is planning, a run ends at once, and the enqueuer hears of it.
func TestCancelWhileThePlanIsStored(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]int{"none of it": 0, "half": 2, "all": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, plan := backfilltest.NewRun(5)
				epoch, err := h.ledger.Open(t.Context(), run, false)
				require.NoError(t, err)
				require.NoError(t, h.ledger.StorePlan(t.Context(), run.ID(), epoch, plan[:stored]))
				require.NoError(t, h.canceller.Cancel(t.Context(), run.ID()))
				record := h.record(t, run)
				require.Equal(t, backfill.StatusCancelled, record.Status)
				require.Equal(t, 5, record.CancelledChunks)
				require.ErrorIs(t, h.launcher.Continue(t.Context(), run, epoch, plan), backfill.ErrStale)
				twin, _ := backfilltest.NewRun(0)
				twin.Manifest.InputHash = run.Manifest.InputHash
				_, err = h.ledger.Open(t.Context(), twin, false)
				require.NoError(t, err, "the input is free")
			})
		})
	}
}

// The history is away: the chunks end, and their rows are written when it is back.
func TestCancelGoesOnWithoutTheHistory(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 3)
		h.history.Fail("RecordOutcomes", errTest)
		require.NoError(t, h.canceller.Cancel(t.Context(), run.ID()))
		require.Equal(t, backfill.PhaseFinished, h.state(t, run).Phase)
		require.Equal(t, backfill.StatusRunning, h.record(t, run).Status)
		h.history.Fail("RecordOutcomes", nil)
		h.round(t)
		require.Equal(t, backfill.StatusCancelled, h.record(t, run).Status)
		require.Len(t, h.history.Outcomes(run.ID(), 1), 3)
	})
}

// Whatever fails on the way comes back to the person who cancels, and the reconciler ends what is left.
func TestCancelSaysWhatFailed(t *testing.T) {
	t.Parallel()
	for method, says := range map[string]string{
		"State": "x", "Cancel": "cancel run", "PendingPage": "scan the pending chunks", "EndCancelled": "record 2 chunks", "Freeze": "freeze run",
	} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, _ := h.launched(t, 2)
				h.ledger.Fail(method, errTest)
				err := h.canceller.Cancel(t.Context(), run.ID())
				require.ErrorIs(t, err, errTest)
				require.ErrorContains(t, err, says)
				h.ledger.Fail(method, nil)
				h.round(t)
				if method == "State" || method == "Cancel" {
					require.False(t, h.state(t, run).Cancelled)
					return
				}
				require.Equal(t, backfill.StatusCancelled, h.record(t, run).Status)
			})
		})
	}
}

package backfill_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestLaunchStoresThePlanBeforeTheFirstTask(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := backfilltest.NewRun(3)
		h.queue.Before("EnqueueChunks", func() error {
			state := h.state(t, run)
			require.Equal(t, backfill.PhasePlanning, state.Phase)
			require.Equal(t, 3, state.Pending)
			planned, err := h.history.PlannedCount(t.Context(), run.ID(), 1)
			require.NoError(t, err)
			require.Equal(t, 3, planned)
			require.Equal(t, backfill.StatusRunning, h.record(t, run).Status)
			return nil
		})
		var enqueued []int
		h.launcher.OnEnqueued = func(done, total int) { enqueued = append(enqueued, done, total) }
		require.NoError(t, h.launcher.Launch(t.Context(), run, plan, false))
		require.Equal(t, []int{3, 3}, enqueued)
		require.Equal(t, 3, h.queue.Waiting())
		require.Equal(t, backfill.PhaseRunning, h.state(t, run).Phase)
	})
}

func TestARunWithoutChunksEndsWithoutAWorker(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 0)
		h.requireComplete(t, run)
	})
}

func TestTheSameInputIsLaunchedOnceUnlessForced(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 1)
		twin, plan := backfilltest.NewRun(1)
		twin.Manifest.InputHash = run.Manifest.InputHash
		err := h.launcher.Launch(t.Context(), twin, plan, false)
		require.Equal(t, backfill.RefusedSameInput, backfill.RefusalOf(err))
		_, err = h.history.Run(t.Context(), twin.ID())
		require.ErrorIs(t, err, backfill.ErrUnknownRun, "nothing was done")
		require.NoError(t, h.launcher.Launch(t.Context(), twin, plan, true))
		require.Equal(t, 2, h.queue.Waiting())
	})
}

// Trouble with the audit trail does not stop a run (R7): the reconciler writes what is missing.
func TestALaunchGoesOnWithoutTheHistory(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"Planned", "Started"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				h.history.Fail(method, errTest)
				run, _ := h.launched(t, 2)
				require.True(t, h.state(t, run).HistoryStale)
				h.round(t)
				require.True(t, h.state(t, run).HistoryStale, "still away")
				h.history.Fail(method, nil)
				h.round(t)
				require.False(t, h.state(t, run).HistoryStale)
				require.Equal(t, backfill.StatusRunning, h.record(t, run).Status)
				planned, err := h.history.PlannedCount(t.Context(), run.ID(), 1)
				require.NoError(t, err)
				require.Equal(t, 2, planned)
				h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairHistory: 1})
			})
		})
	}
}

// A store that is away for seconds is asked again; one that stays away ends the launch, which the reconciler goes on with.
func TestALaunchWaitsForItsStores(t *testing.T) {
	t.Parallel()
	for _, step := range []struct {
		method string
		fail   func(h *harness, do func() error)
	}{
		{"SetHistoryStale", func(h *harness, do func() error) { h.ledger.Before("SetHistoryStale", do) }},
		{"StorePlan", func(h *harness, do func() error) { h.ledger.Before("StorePlan", do) }},
		{"EnqueueChunks", func(h *harness, do func() error) { h.queue.Before("EnqueueChunks", do) }},
		{"Seal", func(h *harness, do func() error) { h.ledger.Before("Seal", do) }},
	} {
		t.Run(step.method, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				away := 10
				step.fail(h, func() error {
					if away--; away >= 0 {
						return classed(backfill.ClassStore)
					}
					return nil
				})
				began := time.Now()
				run, _ := h.launched(t, 2)
				require.Equal(t, 10*time.Second, time.Since(began))
				h.work(t)
				h.requireComplete(t, run)

				away = 1_000
				run, plan := backfilltest.NewRun(2)
				err := h.launcher.Launch(t.Context(), run, plan, false)
				require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
				require.Equal(t, 1_000-30, away, "30 times")
				away = 0
				time.Sleep(backfill.HeartbeatStale + time.Second)
				h.round(t)
				h.work(t)
				require.Equal(t, backfill.StatusCompleted, h.record(t, run).Status)
			})
		})
	}
}

// What is no trouble with a store is no reason to ask again.
func TestALaunchEndsAtAnErrorThatStays(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := backfilltest.NewRun(1)
		h.ledger.Fail("StorePlan", errTest)
		began := time.Now()
		require.ErrorIs(t, h.launcher.Launch(t.Context(), run, plan, false), errTest)
		require.Zero(t, time.Since(began))
	})
}

func TestALaunchBeginsAgainWhenTheLedgerIsLost(t *testing.T) {
	t.Parallel()
	for losses, fails := range map[int]bool{1: false, 3: false, 4: true} {
		withHarness(t, func(t *testing.T, h *harness) {
			left := losses
			h.ledger.Before("Seal", func() error {
				if left--; left >= 0 {
					h.ledger.Lose()
				}
				return nil
			})
			run, plan := backfilltest.NewRun(3)
			err := h.launcher.Launch(t.Context(), run, plan, false)
			if fails {
				require.ErrorIs(t, err, backfill.ErrUnknownRun)
				return
			}
			require.NoError(t, err)
			h.work(t)
			h.requireComplete(t, run)
		})
	}
}

// Redis was lost, and a reconciler has rebuilt the run before its enqueuer could.
func TestALaunchLeavesARunToTheReconcilerThatRebuiltIt(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		h.ledger.Before("Seal", func() error {
			h.ledger.Before("Seal", nil)
			h.ledger.Lose()
			return nil
		})
		h.ledger.Before("Rebuild", func() error { return backfill.ErrFinished })
		run, plan := backfilltest.NewRun(1)
		require.ErrorIs(t, h.launcher.Launch(t.Context(), run, plan, false), backfill.ErrStale)
	})
}

// A launch that stands still for too long loses its run, and hears of it at the next heartbeat or write.
func TestALaunchThatWasTakenOverStops(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := backfilltest.NewRun(2)
		h.queue.Before("EnqueueChunks", func() error {
			_, err := h.ledger.TakeOver(t.Context(), run.ID())
			return errors.Join(err, classed(backfill.ClassStore)) // and it asks again for longer than a heartbeat
		})
		began := time.Now()
		require.ErrorIs(t, h.launcher.Launch(t.Context(), run, plan, false), backfill.ErrStale)
		require.LessOrEqual(t, time.Since(began), backfill.HeartbeatEvery+time.Second)
	})
}

// While a launch takes long, its heartbeat keeps others from taking it over.
func TestALaunchShowsThatItLives(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		h.queue.Before("EnqueueChunks", func() error {
			time.Sleep(time.Minute)
			h.round(t)
			return nil
		})
		run, _ := h.launched(t, 2)
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{})
		h.ledger.Fail("Heartbeat", errTest)
		h.queue.Before("EnqueueChunks", func() error { time.Sleep(time.Minute); return nil })
		h.launched(t, 1)
		require.Contains(t, h.logs.String(), "heartbeat of the launching process not written")
	})
}

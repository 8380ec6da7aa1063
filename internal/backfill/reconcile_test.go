package backfill_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestTasksThatAreGoneAreEnqueuedAgain(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 4)
		for _, chunk := range plan[1:] {
			h.queue.Delete(run, chunk.ID, 0)
		}
		h.round(t)
		require.Equal(t, 4, h.queue.Waiting())
		h.round(t)
		require.Equal(t, 4, h.queue.Waiting(), "once")
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairLostTask: 3})
		h.work(t)
		h.requireComplete(t, run)
	})
}

// A chunk whose first and second task are lost gets a third; what is in a worker's hands is left alone.
func TestATaskOfALaterGenerationMayBeLostToo(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 1)
		h.queue.Lose()
		h.round(t)
		h.queue.Lose()
		_, err := h.ledger.Admit(t.Context(), backfilltest.TaskOf(run, plan[0]))
		require.NoError(t, err)
		h.round(t)
		require.Zero(t, h.queue.Waiting(), "a worker has it")
		h.ledger.ExpireLeases(run.ID())
		h.round(t)
		require.Equal(t, 1, h.queue.Waiting())
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairLostTask: 2})
		h.work(t)
		h.requireComplete(t, run)
	})
}

func TestAChunkWhoseTaskWasGivenUpFails(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 2)
		h.queue.Archive(run, plan[1].ID, 0)
		h.round(t)
		outcome := h.outcome(t, run, plan[1])
		require.Equal(t, backfill.OutcomeFailed, outcome.Status)
		require.Contains(t, outcome.Error, "task archived by the queue")
		require.Equal(t, "r", outcome.Worker)
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairArchived: 1})
		h.work(t)
		require.Equal(t, backfill.StatusFailed, h.record(t, run).Status)
	})
}

// All tasks were given up: the reconciler ends the run itself, also where it cannot write the rows at first.
func TestARunWhoseTasksWereAllGivenUpEnds(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 2)
		for _, chunk := range plan {
			h.queue.Archive(run, chunk.ID, 0)
		}
		h.history.Fail("RecordOutcomes", errTest)
		h.round(t)
		require.Equal(t, backfill.PhaseFinished, h.state(t, run).Phase)
		h.history.Fail("RecordOutcomes", nil)
		h.round(t)
		require.Equal(t, backfill.StatusFailed, h.record(t, run).Status)
		require.Len(t, h.history.Outcomes(run.ID(), 1), 2)
	})
}

// A run that is taken over or lost while its chunks fail is seen in the next round as it is then.
func TestChunksOfARunThatWasTakenOverAreLeftToTheNextRound(t *testing.T) {
	t.Parallel()
	for _, lost := range []error{backfill.ErrStale, backfill.ErrUnknownRun} {
		withHarness(t, func(t *testing.T, h *harness) {
			run, plan := h.launched(t, 1)
			h.queue.Archive(run, plan[0].ID, 0)
			h.ledger.Fail("Record", lost)
			h.round(t)
			require.Equal(t, 1, h.state(t, run).Pending)
			h.ledger.Fail("Record", nil)
			h.round(t)
			require.Equal(t, backfill.StatusFailed, h.record(t, run).Status)
		})
	}
}

// A lease that ran out once may still be renewed: at the second look in a row the chunk goes to another worker.
func TestTheChunkOfADeadWorkerGoesToAnotherAtTheSecondLook(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 2)
		look := func() { require.NoError(t, h.reconciler.Look(t.Context())) }
		for _, chunk := range plan {
			_, err := h.ledger.Admit(t.Context(), backfilltest.TaskOf(run, chunk))
			require.NoError(t, err)
		}
		look()
		h.ledger.ExpireLeases(run.ID())
		look()
		require.Equal(t, 2, h.queue.Waiting())
		_, err := h.ledger.Renew(t.Context(), []backfill.Execution{{Task: backfilltest.TaskOf(run, plan[0]), Epoch: h.state(t, run).Epoch, Number: 1}})
		require.NoError(t, err)
		look()
		require.Equal(t, 3, h.queue.Waiting(), "the second generation of the chunk whose worker is dead")
		look()
		require.Equal(t, 3, h.queue.Waiting(), "once")
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairOrphan: 1})
	})
}

// The enqueuer died at each point of a launch.
func TestARunWhoseEnqueuerDiedGoesOnOrFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		recorded, planned, enqueued int
		fails                       bool
	}{
		"after opening":                      {fails: true},
		"half-way through the planned rows":  {recorded: 2, fails: true},
		"after the planned rows":             {recorded: 5},
		"half-way through the ledger's plan": {recorded: 5, planned: 2},
		"without the history":                {planned: 5},
		"half-way through the tasks":         {recorded: 5, planned: 5, enqueued: 3},
		"before sealing":                     {recorded: 5, planned: 5, enqueued: 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, plan := backfilltest.NewRun(5)
				epoch, err := h.ledger.Open(t.Context(), run, false)
				require.NoError(t, err)
				require.NoError(t, h.history.Planned(t.Context(), run, plan[:test.recorded]))
				require.NoError(t, h.ledger.StorePlan(t.Context(), run.ID(), epoch, plan[:test.planned]))
				require.NoError(t, h.queue.EnqueueChunks(t.Context(), run, plan[:test.enqueued]))
				time.Sleep(backfill.HeartbeatStale)
				h.round(t)
				require.Equal(t, backfill.PhasePlanning, h.state(t, run).Phase, "its heartbeat is fresh enough")
				time.Sleep(time.Millisecond)
				require.NoError(t, h.reconciler.Look(t.Context()))
				if test.fails {
					require.Equal(t, backfill.StatusFailed, h.record(t, run).Status)
					require.Equal(t, "enqueuer died while planning", h.record(t, run).ErrorMessage)
					h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairAbandon: 1})
					return
				}
				h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairResumed: 1})
				h.work(t)
				h.requireComplete(t, run)
			})
		})
	}
}

// The enqueuer of a retry died at once: the run ends failed with the numbers that it had, and can be retried again.
func TestARetryThatIsAbandonedKeepsTheRunsNumbers(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.failed(t, 3)
		second := run
		second.Attempt, second.RetriedChunks = 2, 1
		_, err := h.ledger.Open(t.Context(), second, false)
		require.NoError(t, err)
		h.ledger.StaleHeartbeat(run.ID())
		h.round(t)
		record := h.record(t, run)
		require.Equal(t, 2, record.Attempt)
		require.Equal(t, backfill.StatusFailed, record.Status)
		require.EqualValues(t, 2, record.Stats.Inserted)
		third := h.retry(t, run)
		require.Equal(t, 3, third.Attempt)
		h.work(t)
		h.requireComplete(t, third)
	})
}

func TestChunksThatACancelLeftPendingEnd(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 3)
		require.NoError(t, h.ledger.Cancel(t.Context(), run.ID()))
		h.round(t)
		require.Equal(t, 3, h.record(t, run).CancelledChunks)
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairCancel: 3})
	})
}

func TestOneReconcilerWorksAtATime(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 1)
		h.queue.Lose()
		held, err := h.ledger.Lease(t.Context(), backfill.DutyReconcile, "another", 20*time.Second)
		require.NoError(t, err)
		require.True(t, held)
		ctx, stop := context.WithCancel(t.Context())
		var ended bool
		go func() { h.reconciler.Run(ctx); ended = true }()
		time.Sleep(19 * time.Second)
		require.Zero(t, h.queue.Waiting())
		time.Sleep(30 * time.Second)
		require.Equal(t, 1, h.queue.Waiting())
		stop()
		synctest.Wait()
		require.True(t, ended)
		held, err = h.ledger.Lease(t.Context(), backfill.DutyReconcile, "another", time.Second)
		require.NoError(t, err)
		require.True(t, held, "the one that stopped gave its lease back")
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairLostTask: 1})
	})
}

// A name among the active runs without a run is dropped, but not while the history does not say whether there is one.
func TestANameWithoutARunIsForgotten(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := backfilltest.NewRun(1)
		_, err := h.ledger.Open(t.Context(), run, false)
		require.NoError(t, err)
		h.ledger.LoseState(run.ID())
		active := func() []uuid.UUID {
			runs, err := h.ledger.ActiveRuns(t.Context())
			require.NoError(t, err)
			return runs
		}
		h.history.Fail("Run", errTest)
		require.ErrorIs(t, h.reconciler.Round(t.Context()), errTest)
		require.Len(t, active(), 1)
		h.history.Fail("Run", nil)
		h.round(t)
		require.Empty(t, active())
	})
}

// Trouble with one run, or one part of a round, keeps it from none of the others.
func TestTroubleWithOneRunDoesNotStopARound(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		lost, _ := h.launched(t, 1)
		h.ledger.LoseState(lost.ID())
		other, _ := h.launched(t, 2)
		h.queue.Lose()
		h.queue.Fail("Mend", errTest)
		h.ledger.Fail("Rebuild", errTest)
		err := h.reconciler.Round(t.Context())
		require.ErrorIs(t, err, errTest)
		require.ErrorContains(t, err, "rebuild run "+lost.ID().String())
		require.Equal(t, 2, h.queue.Waiting(), "those of the other run")
		h.work(t)
		h.requireComplete(t, other)
	})
}

// A round looks at some of a large run's chunks, and the next one goes on behind them.
func TestALargeRunIsRepairedInSeveralRounds(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		const chunks = 4_500
		run, _ := h.launched(t, chunks)
		h.queue.Lose()
		for i, want := range []int{2_000, 4_000, chunks} {
			h.round(t)
			require.Equal(t, want, h.queue.Waiting(), "round %d", i)
		}
		h.requireRepairs(t, run, map[backfill.RepairAction]int64{backfill.RepairLostTask: chunks})
	})
}

// The same input is freed when the enqueuer that has it died, and stays with one that lives.
func TestTheInputOfAnEnqueuerThatDiedIsFreed(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		die    func(h *harness, run backfill.Run)
		stored int
		free   bool
		said   string
	}{
		"died, plan whole":         {die: func(h *harness, run backfill.Run) { h.ledger.StaleHeartbeat(run.ID()) }, stored: 3, said: "died 1m0s ago while planning"},
		"died, plan not whole":     {die: func(h *harness, run backfill.Run) { h.ledger.StaleHeartbeat(run.ID()) }, free: true, said: "died 1m0s ago while planning"},
		"died just now":            {die: func(*harness, backfill.Run) {}, stored: 1, free: true, said: "looking whether its enqueuer lives"},
		"the run is there no more": {die: func(h *harness, _ backfill.Run) { h.ledger.Lose() }, free: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, plan := backfilltest.NewRun(3)
				epoch, err := h.ledger.Open(t.Context(), run, false)
				require.NoError(t, err)
				require.NoError(t, h.ledger.StorePlan(t.Context(), run.ID(), epoch, plan[:test.stored]))
				test.die(h, run)
				said := ""
				began := time.Now()
				free, err := h.reconciler.FreeInput(t.Context(), run.ID(), func(text string) { said += text })
				require.NoError(t, err)
				require.Equal(t, test.free, free)
				require.Contains(t, said, test.said)
				require.LessOrEqual(t, time.Since(began), backfill.HeartbeatStale+time.Second)
			})
		})
	}
}

func TestTheInputOfALivingEnqueuerIsItsOwn(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := backfilltest.NewRun(3)
		epoch, err := h.ledger.Open(t.Context(), run, false)
		require.NoError(t, err)
		time.Sleep(3 * time.Second)
		beat := time.AfterFunc(time.Second, func() { _ = h.ledger.Heartbeat(context.Background(), run.ID(), epoch) })
		defer beat.Stop()
		began := time.Now()
		free, err := h.reconciler.FreeInput(t.Context(), run.ID(), func(string) {})
		require.NoError(t, err)
		require.False(t, free)
		require.LessOrEqual(t, time.Since(began), 2*time.Second)
	})
}

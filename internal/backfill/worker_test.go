package backfill_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestAWorkerBringsAChunkToItsOutcome(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 3)
		require.NoError(t, h.take(t, run, plan[0]))
		outcome := h.outcome(t, run, plan[0])
		require.Equal(t, backfill.OutcomeSuccess, outcome.Status)
		require.Equal(t, backfill.Stats{Fetched: 1, Inserted: 1, APICalls: 1, Credits: 10}, outcome.Stats)
		require.Equal(t, 1, outcome.Executions)
		require.Equal(t, *outcome, h.history.Outcomes(run.ID(), 1)[plan[0].ID], "the history has the same")
		require.NoError(t, h.take(t, run, plan[0]), "a second task of it is acknowledged")
		require.Equal(t, 1, h.source.calls)
		require.Zero(t, h.worker.Leases.Held())
		require.Equal(t, backfill.PhaseRunning, h.state(t, run).Phase)
		h.work(t)
		h.requireComplete(t, run)
	})
}

// What a worker does with a chunk that it cannot have.
func TestAWorkerLeavesChunksThatAreNotItsToFill(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, h *harness, run backfill.Run, chunk backfill.Chunk)
		class   backfill.Class // empty = the task is acknowledged
		says    string
	}{
		"it has an outcome": {prepare: func(t *testing.T, h *harness, run backfill.Run, chunk backfill.Chunk) {
			_, err := h.ledger.Record(t.Context(), backfilltest.TaskOf(run, chunk), h.state(t, run).Epoch, backfilltest.OutcomeOf(chunk, backfill.OutcomeFailed))
			require.NoError(t, err)
		}},
		"another worker has it": {prepare: func(t *testing.T, h *harness, run backfill.Run, chunk backfill.Chunk) {
			_, err := h.ledger.Admit(t.Context(), backfilltest.TaskOf(run, chunk))
			require.NoError(t, err)
		}, class: backfill.ClassHeld, says: "another worker has the chunk"},
		"the ledger is away": {prepare: func(_ *testing.T, h *harness, _ backfill.Run, _ backfill.Chunk) {
			h.ledger.Fail("Admit", classed(backfill.ClassStore))
		}, class: backfill.ClassStore, says: "admit chunk"},
		"the run waits to be rebuilt": {prepare: func(_ *testing.T, h *harness, _ backfill.Run, _ backfill.Chunk) {
			h.ledger.Lose()
		}, class: backfill.ClassStore, says: "waits to be rebuilt"},
		"the run is lost and the history away": {prepare: func(_ *testing.T, h *harness, _ backfill.Run, _ backfill.Chunk) {
			h.ledger.Lose()
			h.history.Fail("Run", errTest)
		}, class: backfill.ClassStore, says: "look up run"},
		"the run is over and forgotten": {prepare: func(t *testing.T, h *harness, run backfill.Run, _ backfill.Chunk) {
			require.NoError(t, h.history.Finished(t.Context(), backfilltest.ResultOf(run)))
			h.ledger.Lose()
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, plan := h.launched(t, 1)
				test.prepare(t, h, run, plan[0])
				err := h.take(t, run, plan[0])
				if test.class == "" {
					require.NoError(t, err)
				} else {
					require.ErrorContains(t, err, test.says)
					require.Equal(t, test.class, backfill.ClassOf(err))
					require.False(t, backfill.PolicyOf(err).SpendsRetry)
				}
				require.Zero(t, h.source.calls)
				require.Zero(t, h.history.Candles())
			})
		})
	}
}

// A task whose run neither store knows is the queue's to give up.
func TestATaskOfAnUnknownRunSpendsRetries(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := backfilltest.NewRun(1)
		err := h.take(t, run, plan[0])
		require.ErrorIs(t, err, backfill.ErrUnknownRun)
		require.True(t, backfill.PolicyOf(err).SpendsRetry)
	})
}

// Of each class: how often a chunk may meet it, and that it fails then with what it met and spent.
func TestAChunkFailsAtTheLimitOfItsClass(t *testing.T) {
	t.Parallel()
	for class, limit := range map[backfill.Class]int{
		backfill.ClassUnknown: 5, backfill.ClassUnavailable: 5, backfill.ClassPermanent: 1, backfill.ClassKeyRejected: 1,
		backfill.ClassSourceDown: 0, backfill.ClassRateLimited: 0, backfill.ClassParked: 0, backfill.ClassStore: 0, backfill.ClassInterrupted: 0,
	} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, plan := h.launched(t, 1)
				h.source.always = classed(class)
				for try := 1; try < limit || limit == 0 && try <= 30; try++ {
					err := h.take(t, run, plan[0])
					require.Equal(t, class, backfill.ClassOf(err))
					require.False(t, givenUp(err))
					require.Nil(t, h.outcome(t, run, plan[0]), "try %d", try)
				}
				if limit == 0 {
					h.source.always = nil
					require.NoError(t, h.take(t, run, plan[0]))
					outcome := h.outcome(t, run, plan[0])
					require.Equal(t, backfill.Stats{Fetched: 1, Inserted: 1, APICalls: 31, Credits: 310}, outcome.Stats, "what all tries spent")
					return
				}
				err := h.take(t, run, plan[0])
				require.True(t, givenUp(err))
				require.ErrorIs(t, err, errTest)
				outcome := h.outcome(t, run, plan[0])
				require.Equal(t, backfill.OutcomeFailed, outcome.Status)
				require.Equal(t, class, outcome.ErrorClass)
				require.Contains(t, outcome.Error, "fetch solana:So1")
				require.Equal(t, limit, outcome.Executions)
				require.Equal(t, backfill.Stats{APICalls: int64(limit), Credits: int64(10 * limit)}, outcome.Stats)
				require.Equal(t, *outcome, h.history.Outcomes(run.ID(), 1)[plan[0].ID])
			})
		})
	}
}

// By the delays of the policy, a chunk whose source is down fails after 1 + 2 + 4 + 8 seconds and a quarter at most.
func TestAChunkIsTriedAgainAfterTheDelaysOfItsPolicy(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, _ := h.launched(t, 1)
		h.source.always = classed(backfill.ClassUnavailable)
		began := time.Now()
		h.work(t)
		took := time.Since(began)
		require.GreaterOrEqual(t, took, 15*time.Second)
		require.LessOrEqual(t, took, 19*time.Second)
		record := h.record(t, run)
		require.Equal(t, backfill.StatusFailed, record.Status)
		require.Equal(t, 1, record.FailedChunks)
		require.Equal(t, "1 chunk failed (solana:So11111111111111111111111111111111111111112): x", record.ErrorMessage)
	})
}

func TestAChunkThatKillsTenWorkersFails(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 1)
		for range 10 {
			_, err := h.ledger.Admit(t.Context(), backfilltest.TaskOf(run, plan[0]))
			require.NoError(t, err)
			h.ledger.ExpireLeases(run.ID())
		}
		require.NoError(t, h.take(t, run, plan[0]))
		outcome := h.outcome(t, run, plan[0])
		require.Equal(t, backfill.ClassCrash, outcome.ErrorClass)
		require.Contains(t, outcome.Error, "10 workers died while fetching solana:So1")
		require.Zero(t, h.source.calls)
	})
}

// What an execution that died had made durable is recorded, not fetched again.
func TestASuccessOfADeadWorkerIsAdopted(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lost    bool // the ledger, not the worker
		unread  bool
		fetched int
	}{"the worker died": {}, "the ledger was lost": {lost: true}, "the history cannot be read": {unread: true, fetched: 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withHarness(t, func(t *testing.T, h *harness) {
				run, plan := h.launched(t, 1)
				stored := backfilltest.OutcomeOf(plan[0], backfill.OutcomeSuccess)
				if test.lost {
					h.ledger.Lose()
					epoch, err := h.ledger.Rebuild(t.Context(), run)
					require.NoError(t, err)
					require.NoError(t, h.launcher.Continue(t.Context(), run, epoch, plan))
				} else {
					_, err := h.ledger.Admit(t.Context(), backfilltest.TaskOf(run, plan[0]))
					require.NoError(t, err)
					h.ledger.ExpireLeases(run.ID())
				}
				require.NoError(t, h.history.RecordOutcomes(t.Context(), run, []backfill.Outcome{stored}))
				if test.unread {
					h.history.Fail("Success", errTest)
				}
				require.NoError(t, h.take(t, run, plan[0]))
				require.Equal(t, test.fetched, h.source.calls)
				if !test.unread {
					require.Equal(t, stored, *h.outcome(t, run, plan[0]))
				}
			})
		})
	}
}

// The run is cancelled while a chunk is being fetched: nothing is stored, and the chunk ends as cancelled when it is taken up
// next.
func TestAChunkOfACancelledRunIsNotStored(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 2)
		h.source.before = func(context.Context) { require.NoError(t, h.ledger.Cancel(t.Context(), run.ID())) }
		err := h.take(t, run, plan[0])
		require.ErrorIs(t, err, backfill.ErrUnwanted)
		require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(err))
		require.Zero(t, h.history.Candles())
		require.NoError(t, h.take(t, run, plan[0]))
		outcome := h.outcome(t, run, plan[0])
		require.Equal(t, backfill.OutcomeCancelled, outcome.Status)
		require.Equal(t, "run cancelled", outcome.Error)
		require.EqualValues(t, 1, outcome.Stats.APICalls, "what was spent on it is not forgotten")
		require.Equal(t, 1, h.source.calls)
	})
}

// A source that does not answer is not waited for once the lease's renewal finds that the run is cancelled.
func TestAFetchEndsWhenItsRunIsCancelled(t *testing.T) {
	t.Parallel()
	withHarness(t, func(t *testing.T, h *harness) {
		run, plan := h.launched(t, 1)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); h.worker.Leases.Run(ctx) }()
		h.source.before = func(ctx context.Context) {
			require.NoError(t, h.ledger.Cancel(ctx, run.ID()))
			<-ctx.Done()
		}
		require.ErrorIs(t, h.take(t, run, plan[0]), backfill.ErrUnwanted)
		stop()
		<-ended
	})
}

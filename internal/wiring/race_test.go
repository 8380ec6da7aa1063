package wiring_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
	"quantbot/internal/tasks"
)

// generous gives its lease to everybody, as when a reconciler stands still for longer than its lease lasts.
type generous struct {
	reconcilerLedger
}

type reconcilerLedger interface {
	backfill.LaunchLedger
	backfill.FillLedger
	backfill.FinishLedger
	backfill.ReconcileLedger
	backfill.CancelLedger
}

func (generous) Lease(context.Context, backfill.Duty, string, time.Duration) (bool, error) {
	return true, nil
}

func together(n int, do func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { do(i) })
	}
	all.Wait()
}

// Four reconcilers repair the same things at the same time: lost tasks, a dead enqueuer, an unfinished run, a lost run.
func TestReconcilersTogetherAreHarmless(t *testing.T) {
	t.Parallel()
	w := setup(t)
	lost, chunks := newRun(t, 20)
	require.NoError(t, w.launcher.Launch(t.Context(), lost, chunks, false))
	require.NoError(t, w.Redis.FlushDB(t.Context()).Err())
	deleted, chunks := newRun(t, 20)
	require.NoError(t, w.launcher.Launch(t.Context(), deleted, chunks, false))
	_, err := w.inspector.DeleteAllPendingTasks(tasks.QueueIngest)
	require.NoError(t, err)
	dead, chunks := newRun(t, 20)
	_, err = w.Ledger.Open(t.Context(), dead, false)
	require.NoError(t, err)
	require.NoError(t, w.History.Planned(t.Context(), dead, chunks))
	w.stale(t, dead)
	unfinished, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), unfinished, chunks, false))
	for _, chunk := range chunks {
		require.NoError(t, w.takeUp(t, unfinished, chunk, "between outcome and signal"))
	}

	for range 3 {
		together(4, func(int) {
			r := w.Reconciler("test", w.logger, time.Now)
			r.Ledger = generous{w.Ledger}
			// One may hear that another was faster; the next round is the answer to that.
			_ = r.Round(t.Context())
			_ = r.Look(t.Context())
		})
	}
	w.workUntil(t, func() {
		requireExact(t, w.ended(t, lost), 20)
		requireExact(t, w.ended(t, deleted), 20)
		requireExact(t, w.ended(t, dead), 20)
	})
	requireExact(t, w.ended(t, unfinished), 3)
	for _, run := range []backfill.Run{lost, deleted, dead, unfinished} {
		w.requireOneEnd(t, run)
	}
}

func TestFinishersTogetherAreHarmless(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 5)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	for _, chunk := range chunks {
		require.NoError(t, w.takeUp(t, run, chunk, "never"))
	}
	together(8, func(int) {
		if err := w.Finisher(w.logger, time.Now).Finish(t.Context(), run.ID(), 1); err != nil {
			t.Errorf("finish: %v", err)
		}
	})
	requireExact(t, w.ended(t, run), 5)
	w.requireOneEnd(t, run)
}

// The enqueuer and those that believe it dead launch the same run at the same time.
func TestEnqueuersTogetherAreHarmless(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 60)
	epoch, err := w.Ledger.Open(t.Context(), run, false)
	require.NoError(t, err)
	together(4, func(i int) {
		own := epoch
		if i > 0 {
			taken, err := w.Ledger.TakeOver(t.Context(), run.ID())
			if err != nil {
				return // sealed and finished by another
			}
			own = taken
		}
		// All but the last learn that they are stale, sooner or later.
		_ = w.Launcher(w.logger, time.Now).Continue(t.Context(), run, own, chunks)
	})
	requireExact(t, w.work(t, run), 60)
	w.requireOneEnd(t, run)
}

func TestRetriersTogetherStartOneAttempt(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 5)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	w.cancel(t, run)
	require.Equal(t, backfill.StatusCancelled, w.ended(t, run).Status)
	started := make(chan backfill.Run, 4)
	together(4, func(int) {
		if next, err := w.Retrier(w.logger, time.Now).Retry(t.Context(), run.ID(), false); err == nil {
			started <- next
		}
	})
	close(started)
	require.Len(t, started, 1)
	second := <-started
	var record backfill.RunRecord
	w.workUntil(t, func() { record = w.endedAttempt(t, second) })
	requireExact(t, record, 5)
}

// telling is a log whose lines somebody waits for.
type telling chan string

func (t telling) Write(line []byte) (int, error) {
	t <- string(line)
	return len(line), nil
}

// A run is not retried and rolled back at once: it would run on with its candles hidden. Who has to wait gets an error.
func TestARetryWaitsForARollback(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	w.cancel(t, run)
	require.Equal(t, backfill.StatusCancelled, w.ended(t, run).Status)
	said := make(telling, 100)
	operator := w.Operator("test", slog.New(slog.NewTextHandler(said, nil)), time.Now)
	retried := make(chan error, 1)
	require.NoError(t, w.Ledger.WithLock(t.Context(), ledger.MaintenanceLock, func(ctx context.Context) error {
		go func() {
			_, err := operator.Retry(context.WithoutCancel(ctx), run.ID(), false)
			retried <- err
		}()
		require.Eventually(t, func() bool {
			return w.Redis.Exists(ctx, "{quantbot:lock:"+ledger.MaintenanceLock+"}:next").Val() == 1
		}, 2*time.Minute, 5*time.Millisecond, "it waits")
		select {
		case line := <-said:
			require.Contains(t, line, "waiting for a sweep, purge or rollback")
		case <-time.After(2 * time.Minute):
			require.Fail(t, "nobody gets an error")
		}
		return w.History.RollBack(ctx, run.ID(), backfill.UndoRequest{By: "test"}, false)
	}))
	require.ErrorContains(t, <-retried, "is rolled back")
}

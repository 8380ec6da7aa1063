package wiring_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/tasks"
)

func (w *harness) cancel(t *testing.T, run backfill.Run) {
	t.Helper()
	require.NoError(t, w.Canceller("test", w.logger, time.Now).Cancel(t.Context(), run.ID()))
}

func (w *harness) retry(t *testing.T, run backfill.Run) backfill.Run {
	t.Helper()
	next, err := w.Retrier(w.logger, time.Now).Retry(t.Context(), run.ID(), false)
	require.NoError(t, err)
	return next
}

// endedAttempt waits for the end of this attempt.
func (w *harness) endedAttempt(t *testing.T, run backfill.Run) (record backfill.RunRecord) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		record, err = w.History.Run(t.Context(), run.ID())
		return err == nil && record.Status != backfill.StatusRunning && record.Attempt == run.Attempt
	}, 2*time.Minute, 20*time.Millisecond)
	return record
}

func (w *harness) requireRefused(t *testing.T, run backfill.Run, why string) {
	t.Helper()
	_, err := w.Retrier(w.logger, time.Now).Retry(t.Context(), run.ID(), false)
	require.ErrorContains(t, err, why)
}

// Cancel, run the same input again, retry, lose Redis, resume: each run ends with exact numbers.
func TestCancelRerunRetryResume(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 6)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	for _, chunk := range chunks[:2] {
		require.NoError(t, w.takeUp(t, run, chunk, "never"))
	}
	w.requireRefused(t, run, "still running")
	w.cancel(t, run)
	record := w.ended(t, run)
	require.Equal(t, backfill.StatusCancelled, record.Status)
	require.Equal(t, 4, record.CancelledChunks)
	require.EqualValues(t, 2, record.Stats.Inserted)

	rerun, again := newRun(t, 6)
	rerun.Manifest.InputHash = run.Manifest.InputHash
	require.NoError(t, w.launcher.Launch(t.Context(), rerun, again, false), "the input is free at once")
	_, err := w.Retrier(w.logger, time.Now).Retry(t.Context(), run.ID(), false)
	require.Equal(t, backfill.RefusedSameInput, backfill.RefusalOf(err))
	requireExact(t, w.work(t, rerun), 6)

	second := w.retry(t, run)
	require.Equal(t, 2, second.Attempt)
	require.Equal(t, 4, second.RetriedChunks)
	w.requireRefused(t, run, "still running")
	require.NoError(t, w.takeUp(t, second, chunks[3], "never"))
	require.NoError(t, w.Redis.FlushDB(t.Context()).Err())
	w.requireRefused(t, run, "runs-resume")
	require.NoError(t, w.reconciler.Resume(t.Context(), second))
	state, err := w.Ledger.State(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, 3, state.Pending)
	w.workUntil(t, func() { record = w.endedAttempt(t, second) })
	requireExact(t, record, 6)
	require.Equal(t, 2, w.source.times(chunks[3].Range), "once by each run")
	w.requireOneEnd(t, run)
	w.requireRefused(t, run, "nothing to retry")
}

// Retrying works when Redis has forgotten the run, and counts what the first attempt brought.
func TestRetryAfterTheLedgersRetention(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	require.NoError(t, w.inspector.ArchiveTask(tasks.QueueIngest, fmt.Sprintf("%s:1:%s", run.ID(), chunks[1].ID)))
	w.round(t)
	require.Equal(t, backfill.StatusFailed, w.work(t, run).Status)
	require.NoError(t, w.Redis.FlushDB(t.Context()).Err())

	second := w.retry(t, run)
	require.Equal(t, 1, second.RetriedChunks)
	var record backfill.RunRecord
	w.workUntil(t, func() { record = w.endedAttempt(t, second) })
	requireExact(t, record, 3)
	require.Equal(t, 1, record.TokensProcessed)
	require.Zero(t, record.FailedChunks)
	require.Equal(t, 1, w.source.times(chunks[0].Range))
}

// A worker stored its candles when its run had just been cancelled: the retry counts them and fetches nothing for them.
func TestRetryAdoptsALateSuccess(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 1)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	late := w.handler()
	frozen := &frozenStore{CandleStore: w.writer, entered: make(chan struct{}), open: make(chan struct{})}
	late.Worker.Filler.Store = frozen
	ended := make(chan error, 1)
	task := w.task(t, run, chunks[0])
	go func() { ended <- late.ProcessTask(t.Context(), task) }()
	<-frozen.entered
	w.cancel(t, run)
	require.Equal(t, backfill.StatusCancelled, w.ended(t, run).Status)
	close(frozen.open)
	require.NoError(t, <-ended)

	second := w.retry(t, run)
	require.Zero(t, second.RetriedChunks)
	requireExact(t, w.endedAttempt(t, second), 1) // no worker is needed
	require.Equal(t, 1, w.source.times(chunks[0].Range))
}

func TestCancelStopsFetches(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 1)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	h := w.handler()
	waiting := &waitingSource{Source: w.source, entered: make(chan struct{})}
	h.Worker.Filler.Source = only(waiting)
	leasing, stop := context.WithCancel(t.Context())
	var renewing sync.WaitGroup
	renewing.Go(func() { h.Worker.Leases.Run(leasing) })
	defer renewing.Wait()
	defer stop()
	ended := make(chan error, 1)
	task := w.task(t, run, chunks[0])
	go func() { ended <- h.ProcessTask(t.Context(), task) }()
	<-waiting.entered
	w.cancel(t, run)
	require.Equal(t, backfill.StatusCancelled, w.ended(t, run).Status)
	require.ErrorIs(t, <-ended, backfill.ErrUnwanted, "the fetch ends although the source never answers")
	require.NoError(t, h.ProcessTask(t.Context(), task), "the task is acknowledged then")
	require.Equal(t, "0\n", w.count(t, "ohlcv_candle_versions"))
}

// Cancelled while its enqueuer is planning, dead or alive, a run ends at once.
func TestCancelWhilePlanning(t *testing.T) {
	t.Parallel()
	for name, stored := range map[string]int{"before the plan is stored": 0, "half-way": 2, "before sealing": 5} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			run, chunks := newRun(t, 5)
			epoch, err := w.Ledger.Open(t.Context(), run, false)
			require.NoError(t, err)
			require.NoError(t, w.Ledger.StorePlan(t.Context(), run.ID(), epoch, chunks[:stored]))
			w.cancel(t, run)
			record := w.ended(t, run)
			require.Equal(t, backfill.StatusCancelled, record.Status)
			require.Equal(t, 5, record.CancelledChunks)
			require.ErrorIs(t, w.launcher.Continue(t.Context(), run, epoch, chunks), backfill.ErrStale, "the enqueuer hears of it")
			_, err = w.Ledger.Open(t.Context(), sameInput(t, run), false)
			require.NoError(t, err)
		})
	}
}

func sameInput(t *testing.T, run backfill.Run) backfill.Run {
	t.Helper()
	other, _ := newRun(t, 1)
	other.Manifest.InputHash = run.Manifest.InputHash
	return other
}

// A run that was being cancelled when Redis was emptied comes back cancelled.
func TestACancelledRunStaysCancelledWhenRedisIsLost(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	require.NoError(t, w.Ledger.Cancel(t.Context(), run.ID()))
	cancelled := backfill.Outcome{ChunkID: chunks[0].ID, Token: chunks[0].Token, Range: chunks[0].Range, Status: backfill.OutcomeCancelled}
	require.NoError(t, w.History.RecordOutcomes(t.Context(), run, []backfill.Outcome{cancelled}))
	require.NoError(t, w.Redis.FlushDB(t.Context()).Err())
	w.round(t) // rebuilds
	w.round(t) // ends what is pending
	record := w.ended(t, run)
	require.Equal(t, backfill.StatusCancelled, record.Status)
	require.Equal(t, 3, record.CancelledChunks)
}

// The enqueuer of a retry died at once: the run ends failed, with the numbers that it had, and can be retried again.
func TestAnAbandonedRetryKeepsTheRunsNumbers(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	require.NoError(t, w.takeUp(t, run, chunks[0], "never"))
	w.cancel(t, run)
	require.Equal(t, backfill.StatusCancelled, w.ended(t, run).Status)
	second := run
	second.Attempt, second.RetriedChunks = 2, 2
	_, err := w.Ledger.Open(t.Context(), second, false)
	require.NoError(t, err)
	w.stale(t, second)
	w.round(t)
	record := w.endedAttempt(t, second)
	require.Equal(t, backfill.StatusFailed, record.Status)
	require.EqualValues(t, 1, record.Stats.Inserted)

	third := w.retry(t, run)
	require.Equal(t, 3, third.Attempt)
	w.workUntil(t, func() { record = w.endedAttempt(t, third) })
	requireExact(t, record, 3)
}

// Redis is emptied while the enqueuer launches: it launches again.
func TestALaunchSurvivesTheLossOfRedis(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 3)
	launcher := w.Launcher(w.logger, time.Now)
	launcher.Queue = &flushingQueue{Queue: w.Queue, flush: sync.OnceValue(func() error { return w.Redis.FlushDB(t.Context()).Err() })}
	require.NoError(t, launcher.Launch(t.Context(), run, chunks, false))
	requireExact(t, w.work(t, run), 3)
}

// flushingQueue empties Redis once, after the first tasks were enqueued.
type flushingQueue struct {
	backfill.Queue
	flush func() error
}

func (q *flushingQueue) EnqueueChunks(ctx context.Context, run backfill.Run, chunks []backfill.Chunk) error {
	if err := q.Queue.EnqueueChunks(ctx, run, chunks); err != nil {
		return err
	}
	return q.flush()
}

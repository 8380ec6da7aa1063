package wiring_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/manifest"
	"quantbot/internal/tasks"
)

func TestALostTaskIsEnqueuedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 5)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	deleted, err := w.inspector.DeleteAllPendingTasks(tasks.QueueIngest)
	require.NoError(t, err)
	require.Equal(t, 5, deleted)
	w.round(t)
	requireExact(t, w.work(t, run), 5)
}

// A run's chunks wait in the queue of its priority, also after tasks were lost and after Redis was emptied.
func TestARunKeepsItsPriority(t *testing.T) {
	t.Parallel()
	for priority, queue := range map[manifest.Priority]string{manifest.PriorityLow: tasks.QueueIngestLow, manifest.PriorityHigh: tasks.QueueIngestHigh} {
		t.Run(string(priority), func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			run, chunks := newRun(t, 4)
			run.Manifest.Priority = priority
			require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
			waiting := func() int {
				info, err := w.inspector.GetQueueInfo(queue)
				require.NoError(t, err)
				return info.Pending
			}
			require.Equal(t, 4, waiting())
			w.round(t)
			require.Equal(t, 4, waiting(), "living tasks are left alone")
			_, err := w.inspector.DeleteAllPendingTasks(queue)
			require.NoError(t, err)
			w.round(t)
			require.Equal(t, 4, waiting())
			require.NoError(t, w.Redis.FlushDB(t.Context()).Err())
			w.round(t)
			require.Equal(t, 4, waiting())
			requireExact(t, w.work(t, run), 4)
		})
	}
}

func TestAnArchivedTaskFailsItsChunk(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	require.NoError(t, w.inspector.ArchiveTask(tasks.QueueIngest, fmt.Sprintf("%s:1:%s", run.ID(), chunks[1].ID)))
	w.round(t)
	record := w.work(t, run)
	require.Equal(t, backfill.StatusFailed, record.Status)
	require.Equal(t, 1, record.FailedChunks)
	require.Contains(t, record.ErrorMessage, "archived")
	require.EqualValues(t, 2, record.Stats.Inserted)
}

// The enqueuer died at each of the points of a launch; its heartbeat has stopped.
func TestADeadEnqueuersRunGoesOnOrFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		die  func(t *testing.T, w *harness, run backfill.Run, chunks []backfill.Chunk)
		want backfill.RunStatus
	}{
		"after opening": {func(t *testing.T, w *harness, run backfill.Run, _ []backfill.Chunk) {
			_, err := w.Ledger.Open(t.Context(), run, false)
			require.NoError(t, err)
		}, backfill.StatusFailed},
		"half-way through the planned rows": {func(t *testing.T, w *harness, run backfill.Run, chunks []backfill.Chunk) {
			_, err := w.Ledger.Open(t.Context(), run, false)
			require.NoError(t, err)
			require.NoError(t, w.History.Planned(t.Context(), run, chunks[:2]))
		}, backfill.StatusFailed},
		"after the planned rows": {func(t *testing.T, w *harness, run backfill.Run, chunks []backfill.Chunk) {
			_, err := w.Ledger.Open(t.Context(), run, false)
			require.NoError(t, err)
			require.NoError(t, w.History.Planned(t.Context(), run, chunks))
		}, backfill.StatusCompleted},
		"half-way through the tasks": {func(t *testing.T, w *harness, run backfill.Run, chunks []backfill.Chunk) {
			epoch, err := w.Ledger.Open(t.Context(), run, false)
			require.NoError(t, err)
			require.NoError(t, w.History.Planned(t.Context(), run, chunks))
			require.NoError(t, w.History.Started(t.Context(), run))
			require.NoError(t, w.Ledger.StorePlan(t.Context(), run.ID(), epoch, chunks))
			require.NoError(t, w.Queue.EnqueueChunks(t.Context(), run, chunks[:3]))
		}, backfill.StatusCompleted},
		"before sealing": {func(t *testing.T, w *harness, run backfill.Run, chunks []backfill.Chunk) {
			epoch, err := w.Ledger.Open(t.Context(), run, false)
			require.NoError(t, err)
			require.NoError(t, w.Ledger.StorePlan(t.Context(), run.ID(), epoch, chunks))
			require.NoError(t, w.Queue.EnqueueChunks(t.Context(), run, chunks))
		}, backfill.StatusCompleted},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			run, chunks := newRun(t, 5)
			test.die(t, w, run, chunks)
			w.round(t) // its heartbeat is fresh: nothing happens
			state, err := w.Ledger.State(t.Context(), run.ID())
			require.NoError(t, err)
			require.Equal(t, backfill.PhasePlanning, state.Phase)
			w.stale(t, run)
			w.round(t)
			if test.want == backfill.StatusFailed {
				record := w.ended(t, run)
				require.Equal(t, backfill.StatusFailed, record.Status)
				require.Contains(t, record.ErrorMessage, "died while planning")
				return
			}
			requireExact(t, w.work(t, run), 5)
		})
	}
}

// The same input is not blocked by an enqueuer that died while planning, whether or not a worker is there: it is freed when
// its plan was not whole, and goes on when it was. One that lives keeps its input.
func TestTheInputOfADeadEnqueuerIsFreed(t *testing.T) {
	t.Parallel()
	w := setup(t)
	var said []string
	say := func(text string) { said = append(said, text) }
	for name, test := range map[string]struct {
		stored int
		free   bool
	}{"plan whole": {3, false}, "plan not whole": {0, true}} {
		run, chunks := newRun(t, 3)
		run.Manifest.InputHash = name
		epoch, err := w.Ledger.Open(t.Context(), run, false)
		require.NoError(t, err)
		require.NoError(t, w.Ledger.StorePlan(t.Context(), run.ID(), epoch, chunks[:test.stored]))
		w.stale(t, run)
		free, err := w.reconciler.FreeInput(t.Context(), run.ID(), say)
		require.NoError(t, err)
		require.Equal(t, test.free, free, name)
		twin := run
		twin.Manifest.RunID = uuid.New()
		_, err = w.Ledger.Open(t.Context(), twin, false)
		require.Equal(t, test.free, err == nil, name)
	}
	require.Len(t, said, 2)
	require.Contains(t, said[0], "died 1m0s ago while planning")

	living, chunks := newRun(t, 1)
	epoch, err := w.Ledger.Open(t.Context(), living, false)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	beating := make(chan struct{})
	go func() {
		defer close(beating)
		for ctx.Err() == nil {
			if err := w.Ledger.Heartbeat(ctx, living.ID(), epoch); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(600 * time.Millisecond):
			}
		}
	}()
	free, err := w.reconciler.FreeInput(t.Context(), living.ID(), say)
	require.NoError(t, err)
	require.False(t, free)
	stop()
	<-beating
	require.NoError(t, w.Ledger.StorePlan(t.Context(), living.ID(), epoch, chunks))
}

func TestAZombieEnqueuerCannotGoOn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 3)
	epoch, err := w.Ledger.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.NoError(t, w.History.Planned(t.Context(), run, chunks))
	w.stale(t, run)
	w.round(t) // somebody else took the run over and sealed it
	require.ErrorIs(t, w.Ledger.StorePlan(t.Context(), run.ID(), epoch, chunks), backfill.ErrStale)
	require.ErrorIs(t, w.Ledger.Heartbeat(t.Context(), run.ID(), epoch), backfill.ErrStale)
	requireExact(t, w.work(t, run), 3)
}

// R9: Redis is emptied in mid-run. What was done stands, the rest is planned again, and nothing is counted twice.
func TestAnEmptiedRedisIsRebuiltFromTheHistory(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 6)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	done := backfill.ChunkWrite{Run: run, Chunk: chunks[0], Candles: []candle.Candle{{OpenTime: 0, Open: 1, High: 1, Low: 1, Close: 1, Volume: 1}}}
	done.Outcome = backfill.Outcome{
		ChunkID: chunks[0].ID, Token: chunks[0].Token, Range: chunks[0].Range, Status: backfill.OutcomeSuccess, Worker: "before",
		Stats: backfill.Stats{Fetched: 1, Inserted: 1}, StartedAt: time.Now(), EndedAt: time.Now(), Executions: 1,
	}
	recorded, err := w.writer.WriteChunk(t.Context(), done)
	require.NoError(t, err)
	require.True(t, recorded)
	require.NoError(t, w.Redis.FlushDB(t.Context()).Err())
	w.round(t)
	state, err := w.Ledger.State(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, 5, state.Pending)
	queues, err := w.inspector.Queues()
	require.NoError(t, err)
	require.Contains(t, queues, tasks.QueueIngest, "monitors see the queue again")
	requireExact(t, w.work(t, run), 6)
	rows, err := w.Reports().Tasks(t.Context(), run.ID(), report.TaskFilter{}, 10)
	require.NoError(t, err)
	for _, row := range rows {
		if row.Chunk.ID == chunks[0].ID {
			require.Equal(t, "before", row.Outcome.Worker, "a success is not fetched again")
		}
	}
}

func TestAFinisherThatDiedIsReplaced(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	for _, chunk := range chunks {
		task := backfill.Task{RunID: run.ID(), Attempt: 1, ChunkID: chunk.ID}
		admission, err := w.Ledger.Admit(t.Context(), task)
		require.NoError(t, err)
		_, err = w.Ledger.Record(t.Context(), task, admission.Epoch, backfill.Outcome{
			ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: backfill.OutcomeSuccess, Unrecorded: true,
			Stats: backfill.Stats{Fetched: 1, Inserted: 1}, StartedAt: time.Now(), EndedAt: time.Now(),
		})
		require.NoError(t, err)
	}
	// Nobody enqueued the finish task; a first finisher froze the outcomes and died.
	require.NoError(t, w.Ledger.Freeze(t.Context(), run.ID(), 1))
	w.round(t)
	requireExact(t, w.ended(t, run), 2)
	active, err := w.Ledger.ActiveRuns(t.Context())
	require.NoError(t, err)
	require.Empty(t, active)
}

func TestOneReconcilerWorksAtATime(t *testing.T) {
	t.Parallel()
	w := setup(t)
	held, err := w.Ledger.Lease(t.Context(), backfill.DutyReconcile, "another", time.Minute)
	require.NoError(t, err)
	require.True(t, held)
	run, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	_, err = w.inspector.DeleteAllPendingTasks(tasks.QueueIngest)
	require.NoError(t, err)
	w.round(t)
	info, err := w.inspector.GetQueueInfo(tasks.QueueIngest)
	require.NoError(t, err)
	require.Zero(t, info.Pending)
	require.NoError(t, w.Ledger.ReleaseLease(t.Context(), backfill.DutyReconcile, "another"))
	w.round(t)
	requireExact(t, w.work(t, run), 2)
}

func TestCancelNeedsNoWorker(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 4)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	c := w.Canceller("test", w.reconciler.Logger, time.Now)
	require.NoError(t, c.Cancel(t.Context(), run.ID()))
	record := w.ended(t, run)
	require.Equal(t, backfill.StatusCancelled, record.Status)
	require.Equal(t, 4, record.CancelledChunks)
	require.ErrorIs(t, c.Cancel(t.Context(), run.ID()), backfill.ErrFinished)
}

// A task that comes back after its run ended and the ledger forgot it must not go round for ever.
func TestATaskOfAForgottenRunIsDropped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	requireExact(t, w.work(t, run), 2)
	require.NoError(t, w.Redis.FlushDB(t.Context()).Err())
	require.NoError(t, w.Queue.EnqueueChunks(t.Context(), run, chunks[:1]))
	w.workUntil(t, func() {
		require.Eventually(t, func() bool {
			info, err := w.inspector.GetQueueInfo(tasks.QueueIngest)
			return err == nil && info.ProcessedTotal == 1 && info.Size == 0
		}, 2*time.Minute, 20*time.Millisecond)
	})
}

package backfilltest

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// QueueUnderTest is an empty queue with what tests do to it from outside. Nobody works on it.
type QueueUnderTest struct {
	backfill.Queue
	// Archive gives a chunk's task up, and Delete removes it.
	Archive func(run backfill.Run, chunk backfill.ChunkID, generation int)
	Delete  func(run backfill.Run, chunk backfill.ChunkID, generation int)
	// Waiting returns how many tasks of chunks wait.
	Waiting func() int
}

// Under returns the queue for the suite.
func (q *Queue) Under() QueueUnderTest {
	return QueueUnderTest{Queue: q, Archive: q.Archive, Delete: q.Delete, Waiting: q.Waiting}
}

// RunQueueSuite holds a queue to what the heart relies on. open returns an empty queue of the test's own.
func RunQueueSuite(t *testing.T, open func(t *testing.T) QueueUnderTest) {
	for name, check := range map[string]func(*testing.T, QueueUnderTest){
		"a task of each chunk": checkTasks,
		"a task that is dead":  checkDeadTask,
		"a task that is gone":  checkGoneTask,
		"finish":               checkFinishTask,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

func (q QueueUnderTest) requireState(t *testing.T, want backfill.TaskState, run backfill.Run, chunk backfill.Chunk, generation int) {
	t.Helper()
	state, _, err := q.TaskState(t.Context(), run, chunk.ID, generation)
	require.NoError(t, err)
	require.Equal(t, want, state)
}

// checkTasks: enqueueing again changes nothing, and attempts and generations have tasks of their own.
func checkTasks(t *testing.T, q QueueUnderTest) {
	run, plan := NewRun(3)
	q.requireState(t, backfill.TaskGone, run, plan[0], 0)
	require.NoError(t, q.EnqueueChunks(t.Context(), run, nil))
	for range 2 {
		require.NoError(t, q.EnqueueChunks(t.Context(), run, plan))
		require.Equal(t, 3, q.Waiting())
	}
	q.requireState(t, backfill.TaskLive, run, plan[2], 0)
	q.requireState(t, backfill.TaskGone, run, plan[2], 1)
	second := run
	second.Attempt = 2
	q.requireState(t, backfill.TaskGone, second, plan[2], 0)
	require.NoError(t, q.EnqueueChunks(t.Context(), second, plan[:1]))
	for range 2 {
		require.NoError(t, q.EnqueueAgain(t.Context(), run, plan[2], 1))
	}
	require.Equal(t, 5, q.Waiting())
	q.requireState(t, backfill.TaskLive, second, plan[0], 0)
	q.requireState(t, backfill.TaskLive, run, plan[2], 1)
	mended, err := q.Mend(t.Context())
	require.NoError(t, err)
	require.Zero(t, mended)
	require.Equal(t, 5, q.Waiting())
}

// checkDeadTask: the id of a task that was given up stays taken; the next generation is another task.
func checkDeadTask(t *testing.T, q QueueUnderTest) {
	run, plan := NewRun(2)
	require.NoError(t, q.EnqueueChunks(t.Context(), run, plan))
	q.Archive(run, plan[0].ID, 0)
	q.requireState(t, backfill.TaskDead, run, plan[0], 0)
	q.requireState(t, backfill.TaskLive, run, plan[1], 0)
	require.NoError(t, q.EnqueueChunks(t.Context(), run, plan))
	q.requireState(t, backfill.TaskDead, run, plan[0], 0)
	require.Equal(t, 1, q.Waiting())
	require.NoError(t, q.EnqueueAgain(t.Context(), run, plan[0], 1))
	q.requireState(t, backfill.TaskLive, run, plan[0], 1)
	require.Equal(t, 2, q.Waiting())
}

// checkGoneTask: a task that was deleted can be enqueued once more.
func checkGoneTask(t *testing.T, q QueueUnderTest) {
	run, plan := NewRun(1)
	require.NoError(t, q.EnqueueChunks(t.Context(), run, plan))
	q.Delete(run, plan[0].ID, 0)
	q.requireState(t, backfill.TaskGone, run, plan[0], 0)
	require.Zero(t, q.Waiting())
	require.NoError(t, q.EnqueueChunks(t.Context(), run, plan))
	q.requireState(t, backfill.TaskLive, run, plan[0], 0)
}

// checkFinishTask: asking for the end of an attempt twice is harmless, and no chunk's task.
func checkFinishTask(t *testing.T, q QueueUnderTest) {
	run, _ := NewRun(0)
	for range 2 {
		require.NoError(t, q.EnqueueFinish(t.Context(), run))
	}
	require.Zero(t, q.Waiting())
}

package backfilltest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"quantbot/internal/backfill"
)

var _ backfill.Queue = (*Queue)(nil)

// Queue is a queue in memory. Its tasks are run one after the other, in the order in which they came, by Work.
type Queue struct {
	failures
	now func() time.Time

	mu    sync.Mutex
	tasks map[string]*queuedTask
	order []string
}

// queuedTask is a chunk's task, or without a chunk the finish of an attempt.
type queuedTask struct {
	run     backfill.Run
	chunk   *backfill.Chunk
	due     time.Time
	tries   int
	running bool
	dead    bool
	lastErr string
}

// NewQueue returns an empty queue by the clock.
func NewQueue(now func() time.Time) *Queue {
	return &Queue{now: now, tasks: make(map[string]*queuedTask)}
}

func fillID(run backfill.Run, chunk backfill.ChunkID, generation int) string {
	return fmt.Sprintf("%s:%d:%s:%d", run.ID(), run.Attempt, chunk, generation)
}

// add leaves a task that is there alone. The lock must be held.
func (q *Queue) add(id string, task queuedTask) {
	if _, taken := q.tasks[id]; taken {
		return
	}
	task.due = q.now()
	q.tasks[id] = &task
	q.order = append(q.order, id)
}

// EnqueueChunks implements backfill.Queue.
func (q *Queue) EnqueueChunks(_ context.Context, run backfill.Run, chunks []backfill.Chunk) error {
	if err := q.fail("EnqueueChunks"); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, chunk := range chunks {
		q.add(fillID(run, chunk.ID, 0), queuedTask{run: run, chunk: &chunk})
	}
	return nil
}

// EnqueueAgain implements backfill.Queue.
func (q *Queue) EnqueueAgain(_ context.Context, run backfill.Run, chunk backfill.Chunk, generation int) error {
	if err := q.fail("EnqueueAgain"); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(fillID(run, chunk.ID, generation), queuedTask{run: run, chunk: &chunk})
	return nil
}

// EnqueueFinish implements backfill.Queue.
func (q *Queue) EnqueueFinish(_ context.Context, run backfill.Run) error {
	if err := q.fail("EnqueueFinish"); err != nil {
		return err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.add(fmt.Sprintf("finish:%s:%d", run.ID(), run.Attempt), queuedTask{run: run})
	return nil
}

// TaskState implements backfill.Queue.
func (q *Queue) TaskState(_ context.Context, run backfill.Run, chunk backfill.ChunkID, generation int) (state backfill.TaskState, lastErr string, err error) {
	if err := q.fail("TaskState"); err != nil {
		return 0, "", err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	task, ok := q.tasks[fillID(run, chunk, generation)]
	switch {
	case !ok:
		return backfill.TaskGone, "", nil
	case task.dead:
		return backfill.TaskDead, task.lastErr, nil
	}
	return backfill.TaskLive, task.lastErr, nil
}

// Mend implements backfill.Queue: nothing in this queue needs it.
func (q *Queue) Mend(context.Context) (mended int, err error) { return 0, q.fail("Mend") }

// Lose empties the queue.
func (q *Queue) Lose() {
	q.mu.Lock()
	defer q.mu.Unlock()
	clear(q.tasks)
	q.order = nil
}

// Delete removes a chunk's task, as a person does.
func (q *Queue) Delete(run backfill.Run, chunk backfill.ChunkID, generation int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.tasks, fillID(run, chunk, generation))
}

// Archive gives a chunk's task up.
func (q *Queue) Archive(run backfill.Run, chunk backfill.ChunkID, generation int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.tasks[fillID(run, chunk, generation)].dead = true
}

// Waiting returns how many tasks of chunks wait or run.
func (q *Queue) Waiting() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, task := range q.tasks {
		if task.chunk != nil && !task.dead {
			n++
		}
	}
	return n
}

// Work runs tasks until none is left that is not given up, waiting for those that are put off. It does after an error what the
// retry policy says. Several goroutines may work.
func (q *Queue) Work(ctx context.Context, worker *backfill.Worker, finisher *backfill.Finisher) error {
	for ctx.Err() == nil {
		id, task, wait, ok := q.take()
		switch {
		case !ok:
			return nil
		case wait > 0:
			time.Sleep(wait)
			continue
		}
		q.put(id, runTask(ctx, task, worker, finisher))
	}
	return ctx.Err()
}

func runTask(ctx context.Context, task queuedTask, worker *backfill.Worker, finisher *backfill.Finisher) error {
	if task.chunk == nil {
		err := finisher.Finish(ctx, task.run.ID(), task.run.Attempt)
		if errors.Is(err, backfill.ErrNotDone) || errors.Is(err, backfill.ErrUnknownRun) {
			return nil // nothing to finish
		}
		return err
	}
	return worker.Work(ctx, TaskOf(task.run, *task.chunk), *task.chunk)
}

// take returns the first task that is due, or how long none will be; ok is false when nothing is left.
func (q *Queue) take() (id string, task queuedTask, wait time.Duration, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	wait = -1
	for _, id := range q.order {
		task, there := q.tasks[id]
		if !there || task.dead || task.running {
			continue
		}
		left := task.due.Sub(q.now())
		if left <= 0 {
			task.running = true
			return id, *task, 0, true
		}
		if wait < 0 || left < wait {
			wait = left
		}
	}
	return "", queuedTask{}, wait, wait > 0
}

// put takes a task off that has ended, and puts others back.
func (q *Queue) put(id string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	task, there := q.tasks[id]
	if !there {
		return // emptied meanwhile
	}
	if err == nil {
		delete(q.tasks, id)
		return
	}
	task.running, task.lastErr = false, err.Error()
	task.due = q.now().Add(backfill.RetryDelay(err, task.tries))
	if backfill.PolicyOf(err).SpendsRetry {
		task.tries++
	}
	_, givenUp := errors.AsType[*backfill.GivenUpError](err)
	task.dead = givenUp || task.tries > backfill.QueueRetryLimit
}

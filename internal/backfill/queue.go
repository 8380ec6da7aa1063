package backfill

import (
	"context"

	"github.com/google/uuid"
)

// TaskState is what the queue knows of a chunk's task.
type TaskState int

// The states that matter to a run.
const (
	// TaskLive: the task is waiting, scheduled for a retry, or running.
	TaskLive TaskState = iota
	// TaskDead: the queue gave the task up (archived); nobody will run it.
	TaskDead
	// TaskGone: the queue does not know the task, or keeps it only as completed.
	TaskGone
)

// Task identifies a chunk's task.
type Task struct {
	RunID   uuid.UUID
	Attempt int
	ChunkID ChunkID
}

// Queue hands tasks to workers. A task may run more than once; the ledger makes that harmless.
type Queue interface {
	// EnqueueChunks enqueues a task for each chunk, in parallel. A task that exists already is left alone.
	EnqueueChunks(ctx context.Context, run Run, chunks []Chunk) error
	// EnqueueFinish asks a worker to finish the attempt. Asking twice is harmless.
	EnqueueFinish(ctx context.Context, runID uuid.UUID, attempt int) error
	// TaskState looks a task up; lastErr is the text of its last error, if any.
	TaskState(ctx context.Context, task Task) (state TaskState, lastErr string, err error)
	// Forget deletes a task that is dead or completed, so that its id can be used again.
	Forget(ctx context.Context, task Task) error
}

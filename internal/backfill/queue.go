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
	// EnqueueChunks enqueues the first task of each chunk, in parallel. A task that exists already is left alone.
	EnqueueChunks(ctx context.Context, run Run, chunks []Chunk) error
	// EnqueueAgain enqueues a task of a later generation for a chunk whose task is lost or whose worker died.
	EnqueueAgain(ctx context.Context, run Run, chunk Chunk, generation int) error
	// EnqueueFinish asks a worker to finish the run's attempt. Asking twice is harmless.
	EnqueueFinish(ctx context.Context, run Run) error
	// TaskState looks up the task of this generation of one of the run's chunks; lastErr is the text of its last error, if any. What
	// no worker has and none will take is TaskGone, and may be removed.
	TaskState(ctx context.Context, run Run, chunk ChunkID, generation int) (state TaskState, lastErr string, err error)
	// Mend repairs or removes tasks that the queue itself would leave as they are for ever, and returns how many.
	Mend(ctx context.Context) (mended int, err error)
}

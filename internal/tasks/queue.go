package tasks

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
)

// Queues. Few of them: each empty queue costs an idle worker a round trip per poll.
const (
	// QueueIngest has the chunks of runs of normal priority.
	QueueIngest     = "ingest"
	QueueIngestLow  = "ingest_low"
	QueueIngestHigh = "ingest_high"
	QueueFinish     = "finish"
	// QueueMaintenance has the sweeps.
	QueueMaintenance = "maintenance"
)

// weights say how often a worker looks into a queue first. No queue starves: a high run leaves a quarter to normal ones.
var weights = map[string]int{QueueFinish: 12, QueueIngestHigh: 9, QueueIngest: 3, QueueIngestLow: 1, QueueMaintenance: 1}

// ingestQueue is where the run's chunks wait.
func ingestQueue(run backfill.Run) string {
	switch run.Manifest.Priority {
	case manifest.PriorityLow:
		return QueueIngestLow
	case manifest.PriorityHigh:
		return QueueIngestHigh
	default:
		return QueueIngest
	}
}

// enqueueParallel is how many goroutines enqueue at once: asynq has no batch call, and one goroutine waits a round trip
// for each task. Measured: 8 to 32 reach the most that one Redis takes.
const enqueueParallel = 24

// taskTimeout must outlast waiting for the rate budget and for a store that refuses, over a long weekend; every request and
// insert has its own, much shorter timeout.
const taskTimeout = 7 * 24 * time.Hour

// Queue enqueues and looks up tasks in asynq. It implements backfill.Queue.
type Queue struct {
	conn      asynq.RedisConnOpt
	inspector *asynq.Inspector
	redis     redis.UniversalClient

	mu     sync.Mutex
	client *asynq.Client
}

var _ backfill.Queue = (*Queue)(nil)

// NewQueue opens a queue over the Redis that conn reaches.
func NewQueue(conn asynq.RedisConnOpt) *Queue {
	client, ok := WithoutMemory(conn).MakeRedisClient().(redis.UniversalClient)
	if !ok {
		panic(fmt.Sprintf("tasks: unsupported RedisConnOpt %T", conn)) // as asynq itself does
	}
	return &Queue{conn: conn, redis: client, inspector: asynq.NewInspectorFromRedisClient(client), client: asynq.NewClient(conn)}
}

// Close closes the connections.
func (q *Queue) Close() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	return errors.Join(q.client.Close(), q.redis.Close()) // the inspector has the same connection
}

// EnqueueChunks enqueues one task per chunk.
func (q *Queue) EnqueueChunks(ctx context.Context, run backfill.Run, chunks []backfill.Chunk) (err error) {
	ctx, end := traceEnqueue(ctx, run, len(chunks))
	defer func() { end(err) }()
	client, err := q.registered(ingestQueue(run))
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(enqueueParallel)
	for _, chunk := range chunks {
		if ctx.Err() != nil {
			break // one has failed, and the rest would too
		}
		group.Go(func() error { return enqueueChunk(ctx, client, run, chunk, 0) })
	}
	return group.Wait()
}

// EnqueueAgain enqueues a later task of a chunk. Its id is its own: the earlier task may still be somewhere.
func (q *Queue) EnqueueAgain(ctx context.Context, run backfill.Run, chunk backfill.Chunk, generation int) error {
	client, err := q.registered(ingestQueue(run))
	if err != nil {
		return err
	}
	return enqueueChunk(ctx, client, run, chunk, generation)
}

func enqueueChunk(ctx context.Context, client *asynq.Client, run backfill.Run, chunk backfill.Chunk, generation int) error {
	payload, err := encodeFill(run, chunk)
	if err != nil {
		return fmt.Errorf("encode the task of chunk %s: %w", chunk.ID, err)
	}
	id := fillTaskID(backfill.Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: chunk.ID}, generation)
	_, err = client.EnqueueContext(ctx, newTask(ctx, TypeFill, payload),
		asynq.TaskID(id), asynq.Queue(ingestQueue(run)), asynq.MaxRetry(backfill.QueueRetryLimit), asynq.Timeout(taskTimeout))
	if err == nil || errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil // a task that is there already is either alive or, when dead, the reconciler's to decide
	}
	return backfill.WithClass(backfill.ClassStore, fmt.Errorf("enqueue chunk %s: %w", chunk.ID, err))
}

// EnqueueFinish enqueues the finish of the run's attempt.
func (q *Queue) EnqueueFinish(ctx context.Context, run backfill.Run) error {
	client, err := q.registered(QueueFinish)
	if err != nil {
		return err
	}
	payload, err := encodeFinish(run)
	if err != nil {
		return fmt.Errorf("encode the finish of run %s: %w", run.ID(), err)
	}
	_, err = client.EnqueueContext(ctx, newTask(ctx, TypeFinish, payload),
		asynq.TaskID(finishTaskID(run.ID(), run.Attempt)), asynq.Queue(QueueFinish), asynq.MaxRetry(backfill.QueueRetryLimit), asynq.Timeout(taskTimeout))
	if err == nil || errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return backfill.WithClass(backfill.ClassStore, fmt.Errorf("enqueue the finish of run %s: %w", run.ID(), err))
}

// registered returns a client that asynq's own set of queues knows. A client registers its queues once, so after Redis
// was emptied it would fill a queue that no inspector and no monitor sees; a new client registers them again.
func (q *Queue) registered(queue string) (*asynq.Client, error) {
	known, err := q.inspector.Queues()
	if err != nil {
		return nil, backfill.WithClass(backfill.ClassStore, fmt.Errorf("list queues: %w", err))
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if slices.Contains(known, queue) {
		return q.client, nil
	}
	// The old client is left to the garbage collector rather than closed: another goroutine may be using it.
	q.client = asynq.NewClient(q.conn)
	return q.client, nil
}

// TaskState implements backfill.Queue. A task that is active and in no list is removed: no worker has it, and none will take it.
func (q *Queue) TaskState(ctx context.Context, run backfill.Run, chunk backfill.ChunkID, generation int) (state backfill.TaskState, lastErr string, err error) {
	id := fillTaskID(backfill.Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: chunk}, generation)
	info, err := q.inspector.GetTaskInfo(ingestQueue(run), id)
	switch {
	case errors.Is(err, asynq.ErrTaskNotFound), errors.Is(err, asynq.ErrQueueNotFound):
		return backfill.TaskGone, "", nil
	case err != nil && q.gone(ctx, ingestQueue(run), id):
		return backfill.TaskGone, "", nil
	case err != nil:
		return 0, "", backfill.WithClass(backfill.ClassStore, fmt.Errorf("look up task %s: %w", id, err))
	case info.State == asynq.TaskStateArchived:
		return backfill.TaskDead, info.LastErr, nil
	case info.State == asynq.TaskStateCompleted:
		return backfill.TaskGone, "", nil
	case info.State == asynq.TaskStateActive:
		if dropped, err := q.dropUnlisted(ctx, ingestQueue(run), id); err != nil || dropped {
			return backfill.TaskGone, "", err
		}
	}
	return backfill.TaskLive, info.LastErr, nil
}

// Workers counts the worker processes that asynq has heard of lately.
func (q *Queue) Workers() (int, error) {
	servers, err := q.inspector.Servers()
	if err != nil {
		return 0, backfill.WithClass(backfill.ClassStore, fmt.Errorf("list workers: %w", err))
	}
	return len(servers), nil
}

// RunDelayedNow takes up at once the chunks that wait for a later moment. It returns how many.
func (q *Queue) RunDelayedNow() (resumed int, err error) {
	known, err := q.inspector.Queues()
	if err != nil {
		return 0, backfill.WithClass(backfill.ClassStore, fmt.Errorf("list queues: %w", err))
	}
	for _, queue := range []string{QueueIngestHigh, QueueIngest, QueueIngestLow} {
		if !slices.Contains(known, queue) { // nobody has used it yet; asynq's error for that cannot be distinguished here
			continue
		}
		for _, run := range []func(string) (int, error){q.inspector.RunAllRetryTasks, q.inspector.RunAllScheduledTasks} {
			n, err := run(queue)
			if err != nil {
				return resumed, backfill.WithClass(backfill.ClassStore, fmt.Errorf("take up waiting chunks: %w", err))
			}
			resumed += n
		}
	}
	return resumed, nil
}

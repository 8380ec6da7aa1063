package backfill

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// repairPending looks up the tasks of some pending chunks: a chunk whose task is dead has failed, one whose task is gone
// is enqueued again.
func (r *Reconciler) repairPending(ctx context.Context, state LedgerState) error {
	if r.cursors == nil {
		r.cursors = make(map[uuid.UUID]uint64)
	}
	runID := state.Run.ID()
	cursor := r.cursors[runID]
	for looked := 0; looked < reconcileBudget; {
		chunks, next, err := r.Ledger.PendingPage(ctx, runID, state.Run.Attempt, cursor)
		if err != nil {
			return fmt.Errorf("scan pending chunks: %w", err)
		}
		if err := r.repairChunks(ctx, state, chunks); err != nil {
			return err
		}
		looked += len(chunks)
		cursor = next
		if next == 0 {
			break
		}
	}
	r.cursors[runID] = cursor
	if cursor == 0 {
		delete(r.cursors, runID)
	}
	return nil
}

func (r *Reconciler) repairChunks(ctx context.Context, state LedgerState, chunks []Chunk) error {
	var gone []Chunk
	for _, chunk := range chunks {
		task := Task{RunID: state.Run.ID(), Attempt: state.Run.Attempt, ChunkID: chunk.ID}
		taskState, lastErr, err := r.Queue.TaskState(ctx, task)
		if err != nil {
			return fmt.Errorf("look up the task of chunk %s: %w", chunk.ID, err)
		}
		switch taskState {
		case TaskLive:
		case TaskDead:
			if err := r.fail(ctx, state, chunk, task, lastErr); err != nil {
				return err
			}
		case TaskGone:
			gone = append(gone, chunk)
		}
	}
	return r.enqueueGone(ctx, state, gone)
}

// fail records a chunk whose task the queue has given up.
func (r *Reconciler) fail(ctx context.Context, state LedgerState, chunk Chunk, task Task, lastErr string) error {
	r.Logger.WarnContext(ctx, "task of a pending chunk is archived, the chunk fails",
		"run_id", task.RunID, "chunk_id", chunk.ID, "token", chunk.Token.String(), "last_err", lastErr)
	now := r.Now().UTC()
	outcome := Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: OutcomeFailed, ErrorClass: ClassUnknown,
		Error: "task archived by the queue: " + lastErr, Source: state.Run.Manifest.Source,
		Worker: r.Name, Version: state.Run.Manifest.ScriptVersion, StartedAt: now, EndedAt: now,
	}
	outcome.Unrecorded = r.History.RecordOutcomes(ctx, state.Run, []Outcome{outcome}) != nil
	recorded, err := r.Ledger.Record(ctx, task, state.Epoch, outcome)
	if errors.Is(err, ErrStale) || errors.Is(err, ErrUnknownRun) {
		return nil // taken over or lost meanwhile: the next round sees the run as it is then
	}
	if err != nil {
		return fmt.Errorf("record chunk %s as failed: %w", chunk.ID, err)
	}
	if recorded.Finish {
		return r.Finisher.Finish(ctx, task.RunID, task.Attempt)
	}
	return nil
}

// enqueueGone enqueues again what still has no outcome: a task is also gone because it ended between the scan and the
// look-up, after its outcome was recorded.
func (r *Reconciler) enqueueGone(ctx context.Context, state LedgerState, gone []Chunk) error {
	var lost []Chunk
	for _, chunk := range gone {
		task := Task{RunID: state.Run.ID(), Attempt: state.Run.Attempt, ChunkID: chunk.ID}
		pending, err := r.Ledger.IsPending(ctx, task)
		if err != nil {
			return fmt.Errorf("look chunk %s up again: %w", chunk.ID, err)
		}
		if !pending {
			continue
		}
		if err := r.Queue.Forget(ctx, task); err != nil {
			return fmt.Errorf("forget the ended task of chunk %s: %w", chunk.ID, err)
		}
		lost = append(lost, chunk)
	}
	if len(lost) == 0 {
		return nil
	}
	r.Logger.WarnContext(ctx, "tasks of pending chunks are gone, enqueueing them again", "run_id", state.Run.ID(), "chunks", len(lost))
	return r.Queue.EnqueueChunks(ctx, state.Run, lost)
}

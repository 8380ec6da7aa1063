package backfill

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// lookForOrphans gives chunks whose worker stopped showing that it lives to others, long before the queue itself would.
// A lease counts as given up only when it had run out at two looks in a row: after an outage of Redis all leases have,
// and the workers need a moment to renew them.
func (r *Reconciler) lookForOrphans(ctx context.Context) error {
	seen := make(map[ExpiredLease]struct{})
	err := r.eachActive(ctx, func(ctx context.Context, state LedgerState) error {
		if state.Phase != PhasePlanning && state.Phase != PhaseRunning {
			return nil
		}
		expired, err := r.Ledger.Expired(ctx, state.Run.ID(), state.Run.Attempt)
		if err != nil {
			return fmt.Errorf("look for expired leases: %w", err)
		}
		for _, lease := range expired {
			if _, suspect := r.suspects[lease]; !suspect {
				seen[lease] = struct{}{}
				continue
			}
			if err := r.reassign(ctx, state.Run, lease); err != nil {
				return err
			}
		}
		return nil
	})
	r.suspects = seen
	return err
}

func (r *Reconciler) reassign(ctx context.Context, run Run, lease ExpiredLease) error {
	chunk, err := r.Ledger.PlannedChunk(ctx, lease.Task)
	if err != nil {
		return fmt.Errorf("read chunk %s: %w", lease.Task.ChunkID, err)
	}
	replaced, err := r.replaceTask(ctx, run, chunk, lease.Generation)
	if err != nil || !replaced {
		return err
	}
	r.Logger.WarnContext(ctx, "worker of a chunk is gone, the chunk goes to another",
		"run_id", run.ID(), "chunk_id", chunk.ID, "token", chunk.Token.String(), "execution", lease.Execution)
	r.count(ctx, run.ID(), RepairOrphan, 1)
	return nil
}

// replaceTask enqueues a new task for the chunk unless it has an outcome, a living worker or a newer task. Dying between
// the two steps leaves a chunk whose task is gone, which the next round finds.
func (r *Reconciler) replaceTask(ctx context.Context, run Run, chunk Chunk, generation int) (replaced bool, err error) {
	task := Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: chunk.ID}
	next, ok, err := r.Ledger.Regenerate(ctx, task, generation)
	if err != nil || !ok {
		return false, err
	}
	if err := r.Queue.EnqueueAgain(ctx, run, chunk, next); err != nil {
		return false, fmt.Errorf("enqueue chunk %s again: %w", chunk.ID, err)
	}
	return true, nil
}

// repairPending looks up the tasks of some pending chunks that nobody is filling: a chunk whose task is dead has failed,
// one whose task is gone is enqueued again.
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

func (r *Reconciler) repairChunks(ctx context.Context, state LedgerState, chunks []PendingChunk) error {
	lost := 0
	var dead []Outcome
	for _, p := range chunks {
		if p.Held {
			continue
		}
		taskState, lastErr, err := r.Queue.TaskState(ctx, state.Run, p.Chunk.ID, p.Generation)
		if err != nil {
			return fmt.Errorf("look up the task of chunk %s: %w", p.Chunk.ID, err)
		}
		switch taskState {
		case TaskLive:
		case TaskDead:
			dead = append(dead, r.archived(ctx, state, p.Chunk, lastErr))
		case TaskGone:
			replaced, err := r.replaceTask(ctx, state.Run, p.Chunk, p.Generation)
			if err != nil {
				return err
			}
			if replaced {
				lost++
			}
		}
	}
	if lost > 0 {
		r.Logger.WarnContext(ctx, "tasks of pending chunks are gone, enqueued new ones", "run_id", state.Run.ID(), "chunks", lost)
		r.count(ctx, state.Run.ID(), RepairLostTask, lost)
	}
	return r.fail(ctx, state, dead)
}

// archived is the outcome of a chunk whose task the queue has given up.
func (r *Reconciler) archived(ctx context.Context, state LedgerState, chunk Chunk, lastErr string) Outcome {
	r.Logger.WarnContext(ctx, "task of a pending chunk is archived, the chunk fails",
		"run_id", state.Run.ID(), "chunk_id", chunk.ID, "token", chunk.Token.String(), "last_err", lastErr)
	now := r.Now().UTC()
	return Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: OutcomeFailed, ErrorClass: ClassUnknown,
		Error: "task archived by the queue: " + lastErr, Source: state.Run.Manifest.Source,
		Worker: r.Name, Version: state.Run.Manifest.ScriptVersion, StartedAt: now, EndedAt: now,
	}
}

// fail records chunks as failed, their rows in one insert.
func (r *Reconciler) fail(ctx context.Context, state LedgerState, outcomes []Outcome) error {
	if len(outcomes) == 0 {
		return nil
	}
	unrecorded := r.History.RecordOutcomes(ctx, state.Run, outcomes) != nil
	finish, failed := false, 0
	for _, outcome := range outcomes {
		outcome.Unrecorded = unrecorded
		task := Task{RunID: state.Run.ID(), Attempt: state.Run.Attempt, ChunkID: outcome.ChunkID}
		recorded, err := r.Ledger.Record(ctx, task, state.Epoch, outcome)
		if errors.Is(err, ErrStale) || errors.Is(err, ErrUnknownRun) {
			return nil // taken over or lost meanwhile: the next round sees the run as it is then
		}
		if err != nil {
			return fmt.Errorf("record chunk %s as failed: %w", outcome.ChunkID, err)
		}
		failed++
		finish = finish || recorded.Finish
	}
	r.count(ctx, state.Run.ID(), RepairArchived, failed)
	if finish {
		return r.Finisher.Finish(ctx, state.Run.ID(), state.Run.Attempt)
	}
	return nil
}

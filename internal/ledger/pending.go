package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

// PendingPage returns some pending chunks, and the cursor to go on with; a cursor of 0 starts and ends the scan. A page
// may be empty, and a chunk may come twice. A chunk that gets its outcome meanwhile may come as well.
func (l *Ledger) PendingPage(ctx context.Context, runID uuid.UUID, attempt int, cursor uint64) (chunks []backfill.PendingChunk, next uint64, err error) {
	k := keysOf(runID)
	ids, next, err := l.client.SScan(ctx, k.pending(attempt), cursor, "", scanCount).Result()
	if err != nil {
		return nil, 0, redisError("scan the pending chunks", err)
	}
	if len(ids) == 0 {
		return nil, next, nil
	}
	generationFields := make([]string, len(ids))
	for i, id := range ids {
		generationFields[i] = id + "|gen"
	}
	moment, err := l.run(ctx, momentScript, []string{k.lease(attempt)}) // before the leases are read: at worst, one counts that has just run out
	if err != nil {
		return nil, 0, err
	}
	now := float64(moment.number(1))
	pipe := l.client.Pipeline()
	planned := pipe.HMGet(ctx, k.plan(), ids...)
	generations := pipe.HMGet(ctx, k.tries(attempt), generationFields...)
	leases := pipe.ZMScore(ctx, k.lease(attempt), ids...)
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, 0, redisError("read the pending chunks", err)
	}
	chunks = make([]backfill.PendingChunk, len(ids))
	for i, id := range ids {
		chunks[i], err = pendingChunk(id, planned.Val()[i], generations.Val()[i])
		if err != nil {
			return nil, 0, err
		}
		chunks[i].Held = leases.Val()[i] > now
	}
	return chunks, next, nil
}

// pendingChunk decodes what the plan and the tries have of a chunk; a generation that is not there is 0.
func pendingChunk(id string, planned, generation any) (p backfill.PendingChunk, err error) {
	encoded, ok := planned.(string)
	if !ok {
		return p, fmt.Errorf("pending chunk %s is not in the plan", id)
	}
	if p.Chunk, err = decodeChunk(id, encoded); err != nil {
		return p, err
	}
	if text, ok := generation.(string); ok {
		if _, err := fmt.Sscan(text, &p.Generation); err != nil {
			return p, fmt.Errorf("decode the generation of chunk %s: %w", id, err)
		}
	}
	return p, nil
}

// expiredMost bounds one look at the leases; the next look goes on, since those that are dealt with leave the list.
const expiredMost = 500

// Expired lists pending chunks whose lease ran out, without their place in the plan: at most 500.
func (l *Ledger) Expired(ctx context.Context, runID uuid.UUID, attempt int) ([]backfill.ExpiredLease, error) {
	k := keysOf(runID)
	r, err := l.run(ctx, expiredScript, []string{k.lease(attempt), k.tries(attempt)}, expiredMost)
	if err != nil {
		return nil, err
	}
	var expired []backfill.ExpiredLease
	for i := 1; i+2 < len(r); i += 3 {
		expired = append(expired, backfill.ExpiredLease{
			Task:       backfill.Task{RunID: runID, Attempt: attempt, ChunkID: backfill.ChunkID(r.text(i))},
			Execution:  int(r.number(i + 1)),
			Generation: int(r.number(i + 2)),
		})
	}
	return expired, nil
}

// PlannedChunk returns a chunk by its id; ErrUnknownRun when the plan does not have it.
func (l *Ledger) PlannedChunk(ctx context.Context, task backfill.Task) (backfill.Chunk, error) {
	encoded, err := l.client.HGet(ctx, keysOf(task.RunID).plan(), string(task.ChunkID)).Result()
	if errors.Is(err, redis.Nil) {
		return backfill.Chunk{}, backfill.ErrUnknownRun
	}
	if err != nil {
		return backfill.Chunk{}, redisError("read the plan", err)
	}
	return decodeChunk(string(task.ChunkID), encoded)
}

// Regenerate gives a pending chunk that nobody is filling the right to a new task. ok is false when the chunk has an
// outcome, a live lease or a newer task already, or its attempt is over.
func (l *Ledger) Regenerate(ctx context.Context, task backfill.Task, generation int) (next int, ok bool, err error) {
	k := keysOf(task.RunID)
	keys := []string{k.meta(), k.pending(task.Attempt), k.tries(task.Attempt), k.lease(task.Attempt)}
	r, err := l.run(ctx, regenerateScript, keys, task.Attempt, string(task.ChunkID), generation)
	if err != nil || r.status() == "past" {
		return 0, false, err
	}
	return int(r.number(1)), true, nil
}

// Count adds to what reconcilers did, for the run and over all runs.
func (l *Ledger) Count(ctx context.Context, runID uuid.UUID, action backfill.RepairAction, n int) error {
	if err := l.client.HIncrBy(ctx, actionsKey, string(action), int64(n)).Err(); err != nil {
		return redisError("count a repair", err)
	}
	_, err := l.run(ctx, countScript, []string{keysOf(runID).meta()}, string(action), n)
	return err
}

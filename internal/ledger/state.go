package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

// State returns the ledger's view of the run; ErrUnknownRun when it has none. Pending and Progress are read a round trip
// after the rest.
func (l *Ledger) State(ctx context.Context, runID uuid.UUID) (backfill.LedgerState, error) {
	r, err := l.run(ctx, stateScript, []string{keysOf(runID).meta()})
	if err != nil {
		return backfill.LedgerState{}, err
	}
	state, err := decodeState(r)
	if err != nil {
		return backfill.LedgerState{}, fmt.Errorf("decode run %s: %w", runID, err)
	}
	if err := l.readProgress(ctx, &state); err != nil {
		return backfill.LedgerState{}, err
	}
	return state, nil
}

func decodeState(r reply) (backfill.LedgerState, error) {
	state := backfill.LedgerState{
		Phase:        backfill.Phase(r.text(2)),
		Cancelled:    r.text(3) == flag(true),
		Epoch:        r.number(4),
		HeartbeatAge: time.Duration(r.number(5)) * time.Microsecond,
		HistoryStale: r.text(6) == flag(true),
		Halted:       r.text(8),
	}
	if err := json.Unmarshal([]byte(r.text(1)), &state.Run); err != nil {
		return backfill.LedgerState{}, err
	}
	state.AttemptChunks = state.Run.AttemptChunks()
	if result := r.text(7); result != "" {
		state.Result = new(backfill.RunRecord)
		if err := json.Unmarshal([]byte(result), state.Result); err != nil {
			return backfill.LedgerState{}, fmt.Errorf("result: %w", err)
		}
	}
	return state, nil
}

func (l *Ledger) readProgress(ctx context.Context, state *backfill.LedgerState) error {
	k := keysOf(state.Run.ID())
	pipe := l.client.Pipeline()
	pending := pipe.SCard(ctx, k.pending(state.Run.Attempt))
	counts := pipe.HGetAll(ctx, k.progress(state.Run.Attempt))
	waits := pipe.HGetAll(ctx, k.waits())
	if _, err := pipe.Exec(ctx); err != nil {
		return redisError("read the progress", err)
	}
	var progress struct {
		Succeeded int64 `redis:"succeeded"`
		Failed    int64 `redis:"failed"`
		Cancelled int64 `redis:"cancelled"`
		Fetched   int64 `redis:"fetched"`
		Inserted  int64 `redis:"inserted"`
		Rejected  int64 `redis:"rejected"`
	}
	if err := counts.Scan(&progress); err != nil {
		return fmt.Errorf("decode the progress: %w", err)
	}
	state.Pending = int(pending.Val())
	state.Progress = backfill.Progress(progress)
	var err error
	state.Waits, err = mergeWaits(waits.Val())
	return err
}

// Phase returns how far the run's attempt has come; ErrUnknownRun when the ledger does not have the run.
func (l *Ledger) Phase(ctx context.Context, runID uuid.UUID) (backfill.Phase, error) {
	phase, err := l.client.HGet(ctx, keysOf(runID).meta(), "phase").Result()
	if errors.Is(err, redis.Nil) {
		return "", backfill.ErrUnknownRun
	}
	if err != nil {
		return "", redisError("read the phase", err)
	}
	return backfill.Phase(phase), nil
}

// ActiveRuns lists the runs that are not archived. One of them may have no state: its process died before it had any, or
// the ledger lost it.
func (l *Ledger) ActiveRuns(ctx context.Context) ([]uuid.UUID, error) {
	members, err := l.client.SMembers(ctx, activeKey).Result()
	if err != nil {
		return nil, redisError("list the active runs", err)
	}
	runs := make([]uuid.UUID, 0, len(members))
	for _, member := range members {
		runID, err := uuid.Parse(member)
		if err != nil {
			return nil, fmt.Errorf("active run %q: %w", member, err)
		}
		runs = append(runs, runID)
	}
	return runs, nil
}

// Cancel asks workers to end the attempt's chunks without fetching them. Repeating it is harmless. It returns ErrFinished
// when the attempt is over.
func (l *Ledger) Cancel(ctx context.Context, runID uuid.UUID) error {
	_, err := l.run(ctx, cancelScript, []string{keysOf(runID).meta()})
	return err
}

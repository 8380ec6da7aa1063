package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// TakeOver raises the epoch and shows a first heartbeat: the caller is now the planning process. What workers are
// fetching stays wanted. It returns ErrFinished when the attempt is frozen or over.
func (l *Ledger) TakeOver(ctx context.Context, runID uuid.UUID) (epoch int64, err error) {
	r, err := l.run(ctx, takeOverScript, []string{keysOf(runID).meta()})
	if err != nil {
		return 0, err
	}
	return r.number(1), nil
}

// Rebuild creates a lost run again in PhasePlanning under a new epoch, which workers admitted before the loss do not
// have. It returns ErrFinished if the run is there. Its inputs are taken again unless another run has them by now.
func (l *Ledger) Rebuild(ctx context.Context, run backfill.Run) (epoch int64, err error) {
	c := claim{runID: run.ID(), owner: uuid.NewString()}
	claimed, err := l.claimInputs(ctx, &run.Manifest, c, true)
	if err != nil {
		return 0, err
	}
	epoch, err = l.create(ctx, run, c, true)
	if _, exists := errors.AsType[*existsError](err); exists {
		return 0, errors.Join(backfill.ErrFinished, l.releaseInputs(ctx, claimed, c))
	}
	if err != nil {
		return epoch, err
	}
	if err := l.confirmInputs(ctx, claimed, c, true); err != nil {
		return 0, err
	}
	return epoch, nil
}

// restoreBatch keeps one call of the script within a millisecond or two.
const restoreBatch = 250

// RestoreOutcomes puts successes that the history has into an attempt, the current one or an earlier one. Repeating it is
// harmless. It returns ErrStale when another process took the run over.
func (l *Ledger) RestoreOutcomes(ctx context.Context, runID uuid.UUID, epoch int64, attempt int, outcomes []backfill.Outcome) error {
	k := keysOf(runID)
	keys := []string{k.meta(), k.outcome(attempt), k.progress(attempt), k.pending(attempt)}
	for batch := range slices.Chunk(outcomes, restoreBatch) {
		args := make([]any, 0, 1+5*len(batch))
		args = append(args, formatEpoch(epoch))
		for _, o := range batch {
			encoded, err := json.Marshal(o)
			if err != nil {
				return fmt.Errorf("encode outcome of chunk %s: %w", o.ChunkID, err)
			}
			ranked := strconv.Itoa(o.Status.Rank()) + string(encoded)
			args = append(args, string(o.ChunkID), ranked, o.Stats.Fetched, o.Stats.Inserted, o.Stats.Rejected)
		}
		if _, err := l.run(ctx, restoreScript, keys, args...); err != nil {
			return err
		}
	}
	return nil
}

// Late returns the successes that came after their attempt had ended.
func (l *Ledger) Late(ctx context.Context, runID uuid.UUID) (outcomes []backfill.Outcome, err error) {
	err = l.scanHash(ctx, keysOf(runID).late(), func(page []field) error {
		for _, f := range page {
			var outcome backfill.Outcome
			if err := json.Unmarshal([]byte(f.value), &outcome); err != nil {
				return fmt.Errorf("decode the late outcome of chunk %s: %w", f.name, err)
			}
			outcomes = append(outcomes, outcome)
		}
		return nil
	})
	return outcomes, err
}

// AllRepairs returns how often reconcilers did what over all runs, since Redis was last emptied.
func (l *Ledger) AllRepairs(ctx context.Context) (map[backfill.RepairAction]int64, error) {
	counts, err := l.client.HGetAll(ctx, actionsKey).Result()
	if err != nil {
		return nil, redisError("read the repairs", err)
	}
	repairs := make(map[backfill.RepairAction]int64, len(counts))
	for action, value := range counts {
		if repairs[backfill.RepairAction(action)], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, fmt.Errorf("decode the repairs %q: %w", action, err)
		}
	}
	return repairs, nil
}

// Repairs returns how often reconcilers did what for the run; nothing when the ledger does not have it.
func (l *Ledger) Repairs(ctx context.Context, runID uuid.UUID) (map[backfill.RepairAction]int64, error) {
	meta, err := l.client.HGetAll(ctx, keysOf(runID).meta()).Result()
	if err != nil {
		return nil, redisError("read the repairs", err)
	}
	repairs := make(map[backfill.RepairAction]int64)
	for name, value := range meta {
		action, found := strings.CutPrefix(name, "repairs|")
		if !found {
			continue
		}
		if repairs[backfill.RepairAction(action)], err = strconv.ParseInt(value, 10, 64); err != nil {
			return nil, fmt.Errorf("decode the repairs of run %s: %w", runID, err)
		}
	}
	return repairs, nil
}

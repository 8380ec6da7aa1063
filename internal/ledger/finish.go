package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Retention is how long the keys of an archived run stay readable: runs-retry can go on from them, and a success that
// comes late finds its list.
const Retention = 7 * 24 * time.Hour

// Freeze moves a sealed attempt without pending chunks to PhaseFinishing, after which its outcomes do not change. It
// returns nil when it is there already, ErrFinished when it is past, ErrNotDone when chunks are pending.
func (l *Ledger) Freeze(ctx context.Context, runID uuid.UUID, attempt int) error {
	k := keysOf(runID)
	_, err := l.run(ctx, freezeScript, []string{k.meta(), k.pending(attempt)}, attempt)
	return err
}

// Outcomes calls yield for each outcome of one attempt; order is undefined, each chunk comes once. It ends with the first
// error of yield.
func (l *Ledger) Outcomes(ctx context.Context, runID uuid.UUID, attempt int, yield func(backfill.Outcome) error) error {
	return l.scanHash(ctx, keysOf(runID).outcome(attempt), func(page []field) error {
		for _, f := range page {
			var outcome backfill.Outcome
			if err := json.Unmarshal([]byte(f.value[1:]), &outcome); err != nil { // the first byte is the rank
				return fmt.Errorf("decode outcome of chunk %s: %w", f.name, err)
			}
			if err := yield(outcome); err != nil {
				return err
			}
		}
		return nil
	})
}

// Settle stores the result and moves to PhaseFinished, once per attempt: ErrFinished when it is there, ErrNotDone when
// the attempt is not frozen. It frees the input for another run; a process that dies before that leaves the input with a
// finished run, which does not hold it against others.
func (l *Ledger) Settle(ctx context.Context, runID uuid.UUID, result backfill.RunRecord) error {
	encoded, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode result of run %s: %w", runID, err)
	}
	r, err := l.run(ctx, settleScript, []string{keysOf(runID).meta()}, result.Attempt, encoded)
	if err != nil {
		return err
	}
	return l.releaseInputs(ctx, inputsOf(&result.Manifest), claim{runID: runID, owner: r.text(1)})
}

// Abandon ends an attempt whose planning process died before the plan was whole, with the result as given. No task was
// enqueued then, so there is nothing to add up. It returns ErrStale unless the caller took the run over, ErrFinished when
// the attempt has a result, and an error when the plan is whole by now.
func (l *Ledger) Abandon(ctx context.Context, runID uuid.UUID, epoch int64, result backfill.RunRecord) error {
	encoded, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode result of run %s: %w", runID, err)
	}
	k := keysOf(runID)
	keys := []string{k.meta(), k.pending(result.Attempt), k.outcome(result.Attempt)}
	r, err := l.run(ctx, abandonScript, keys, formatEpoch(epoch), result.Attempt, encoded)
	if err != nil {
		return err
	}
	if r.status() == "whole" {
		return errors.New("the plan is whole, and its chunks may be being filled")
	}
	return l.releaseInputs(ctx, inputsOf(&result.Manifest), claim{runID: runID, owner: r.text(1)})
}

// Archive takes a run whose attempt is finished off the active ones and lets its keys expire after Retention. It returns
// ErrNotDone when the attempt is going on, and does nothing when a newer one has begun: what the history has of this
// attempt says nothing about that one.
//
// The keys come first: a process that dies after them leaves an active run, which is archived again.
func (l *Ledger) Archive(ctx context.Context, runID uuid.UUID, attempt int) error {
	r, err := l.run(ctx, archiveScript, keysOf(runID).all(attempt), attempt, int(Retention.Seconds()))
	if err != nil || r.status() == "past" {
		return err
	}
	return l.deactivate(ctx, runID, attempt)
}

// Forget takes a run that has no state off the active ones: its process died before it had any, or the ledger lost it.
func (l *Ledger) Forget(ctx context.Context, runID uuid.UUID) error {
	return l.deactivate(ctx, runID, 0)
}

// deactivate takes the run off the active ones unless it turns out to be more than this attempt, finished: another may
// be opened at any time, and the list is no part of its scripts. So it looks again when it is done.
func (l *Ledger) deactivate(ctx context.Context, runID uuid.UUID, attempt int) error {
	if err := l.client.SRem(ctx, activeKey, runID.String()).Err(); err != nil {
		return redisError("take off the active runs", err)
	}
	meta, err := l.client.HMGet(ctx, keysOf(runID).meta(), "attempt", "phase").Result()
	if err != nil {
		return redisError("look again whether the run is active", err)
	}
	archived := meta[0] == strconv.Itoa(attempt) && meta[1] == string(backfill.PhaseFinished)
	if meta[0] == nil || archived {
		return nil
	}
	return l.activate(ctx, runID)
}

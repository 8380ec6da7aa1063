package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Retention is how long the keys of an archived run stay readable: runs-retry can go on from them, and a success that
// comes late finds its list.
const Retention = 7 * 24 * time.Hour

// Freeze moves a sealed attempt without pending chunks to PhaseFinishing, after which its outcomes do not change. It
// answers nil when it is there already, ErrFinished when it is past, ErrNotDone when chunks are pending.
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
	return l.releaseInput(ctx, result.Manifest.InputHash, claim{runID: runID, opener: r.text(1)})
}

// Abandon ends an attempt whose planning process died before the plan was whole, with the result as given. No task was
// enqueued then, so there is nothing to add up. It answers ErrStale unless the caller took the run over, ErrFinished when
// the attempt has a result, and an error when it is sealed.
func (l *Ledger) Abandon(ctx context.Context, runID uuid.UUID, epoch int64, result backfill.RunRecord) error {
	encoded, err := json.Marshal(result)
	if err != nil {
		return fmt.Errorf("encode result of run %s: %w", runID, err)
	}
	k := keysOf(runID)
	r, err := l.run(ctx, abandonScript, []string{k.meta(), k.pending(result.Attempt)}, formatEpoch(epoch), result.Attempt, encoded)
	if err != nil {
		return err
	}
	if r.status() == "sealed" {
		return errors.New("the attempt is sealed: its chunks are being filled")
	}
	return l.releaseInput(ctx, result.Manifest.InputHash, claim{runID: runID, opener: r.text(1)})
}

// Archive takes a finished run off the active ones and lets its keys expire after Retention. It answers ErrNotDone when
// the run is going on. A run that the ledger does not have is only taken off the active ones.
//
// The keys come first: a process that dies after them leaves an active run, which is archived again.
func (l *Ledger) Archive(ctx context.Context, runID uuid.UUID) error {
	if err := l.expire(ctx, runID); err != nil && !errors.Is(err, backfill.ErrUnknownRun) {
		return err
	}
	if err := l.client.SRem(ctx, activeKey, runID.String()).Err(); err != nil {
		return redisError("take off the active runs", err)
	}
	// Another attempt, or the run itself, may have been opened in between: look again.
	phase, err := l.Phase(ctx, runID)
	if errors.Is(err, backfill.ErrUnknownRun) {
		return nil
	}
	if err != nil {
		return err
	}
	if phase != backfill.PhaseFinished {
		return l.activate(ctx, runID)
	}
	return nil
}

func (l *Ledger) expire(ctx context.Context, runID uuid.UUID) error {
	attempt, err := l.attemptOf(ctx, runID)
	if err != nil {
		return err
	}
	_, err = l.run(ctx, archiveScript, keysOf(runID).all(attempt), attempt, int(Retention.Seconds()))
	return err
}

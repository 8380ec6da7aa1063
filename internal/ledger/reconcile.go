package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Lease gives one reconciler at a time the right to work until the time is over; it may be renewed by its holder. The
// lease saves work: what a reconciler does is safe when two do it.
func (l *Ledger) Lease(ctx context.Context, holder string, ttl time.Duration) (held bool, err error) {
	r, err := l.run(ctx, leaseScript, []string{leaseKey}, holder, ttl.Milliseconds())
	if err != nil {
		return false, err
	}
	return r.status() == "ok", nil
}

// ReleaseLease gives the lease back early. It leaves another's lease alone.
func (l *Ledger) ReleaseLease(ctx context.Context, holder string) error {
	_, err := l.run(ctx, releaseScript, []string{leaseKey}, holder)
	return err
}

// TakeOver raises the epoch and shows a first heartbeat: the caller is now the planning process. What workers are
// fetching stays wanted. It answers ErrFinished when the attempt is frozen or over.
func (l *Ledger) TakeOver(ctx context.Context, runID uuid.UUID) (epoch int64, err error) {
	r, err := l.run(ctx, takeOverScript, []string{keysOf(runID).meta()})
	if err != nil {
		return 0, err
	}
	return r.number(1), nil
}

// Rebuild creates a lost run again in PhasePlanning under a new epoch, which workers admitted before the loss do not
// have. It answers ErrFinished if the run is there. Its input is taken again unless another run has it by now.
func (l *Ledger) Rebuild(ctx context.Context, run backfill.Run) (epoch int64, err error) {
	hash, c := run.Manifest.InputHash, claim{runID: run.ID(), opener: uuid.NewString()}
	claimErr := l.claimInput(ctx, hash, c)
	if claimErr != nil && !isDuplicate(claimErr) {
		return 0, claimErr
	}
	epoch, err = l.create(ctx, run, c, true)
	if _, exists := errors.AsType[*existsError](err); exists {
		return 0, errors.Join(backfill.ErrFinished, l.releaseInput(ctx, hash, c))
	}
	if err != nil || claimErr != nil {
		return epoch, err
	}
	if err := l.confirmInput(ctx, hash, c); err != nil && !isDuplicate(err) {
		return 0, err
	}
	return epoch, nil
}

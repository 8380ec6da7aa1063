package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// claimTTL is how long the input of a run that is being opened stays reserved: many times what Open takes, and as long
// as the input is blocked when the process dies inside Open.
const claimTTL = 15 * time.Second

// claim is a run's hold on its input. The opener makes it unique to one Open.
//
// The input's key and the run's meta may live on different servers, so no script sees both. The order makes it safe: a
// claim with a time to live comes first, then meta, then the claim is made to last. A claim that ends by itself always
// counts as held; a lasting one counts while its run is there and not finished. Whoever dies in between leaves nothing
// that blocks the input for longer than claimTTL.
type claim struct {
	runID  uuid.UUID
	opener string
}

func (c claim) String() string { return c.runID.String() + "/" + c.opener }

// claimRounds bounds how often a claim is tried while dead holders of the input replace one another.
const claimRounds = 5

// claimInput reserves the input. It answers a *backfill.DuplicateInputError when another run holds it.
func (l *Ledger) claimInput(ctx context.Context, hash string, c claim) error {
	over := ""
	for range claimRounds {
		r, err := l.run(ctx, claimInputScript, []string{inputKey(hash)}, c.String(), claimTTL.Milliseconds(), over)
		if err != nil {
			return err
		}
		if r.status() == "ok" {
			return nil
		}
		holder, opening := r.text(1), r.number(2) == 1
		if err := l.checkHolder(ctx, holder, opening); err != nil {
			return err
		}
		over = holder
	}
	return fmt.Errorf("claim input %s: its holder changed %d times", hash, claimRounds)
}

// checkHolder answers a *backfill.DuplicateInputError unless the holder's run is over or gone.
func (l *Ledger) checkHolder(ctx context.Context, holder string, opening bool) error {
	id, _, _ := strings.Cut(holder, "/")
	runID, err := uuid.Parse(id)
	if err != nil {
		return fmt.Errorf("holder %q of the input is no run: %w", holder, err)
	}
	if opening {
		return &backfill.DuplicateInputError{RunID: id}
	}
	phase, err := l.Phase(ctx, runID)
	if errors.Is(err, backfill.ErrUnknownRun) {
		return nil
	}
	if err != nil {
		return err
	}
	if phase != backfill.PhaseFinished {
		return &backfill.DuplicateInputError{RunID: id}
	}
	return nil
}

// confirmInput makes the claim last. It answers a *backfill.DuplicateInputError when this process stood still for
// longer than claimTTL and another run took the input.
func (l *Ledger) confirmInput(ctx context.Context, hash string, c claim) error {
	r, err := l.run(ctx, confirmInputScript, []string{inputKey(hash)}, c.String())
	if err != nil {
		return err
	}
	if r.status() == "taken" {
		id, _, _ := strings.Cut(r.text(1), "/")
		return &backfill.DuplicateInputError{RunID: id}
	}
	return nil
}

// releaseInput frees the input if the claim still holds it.
func (l *Ledger) releaseInput(ctx context.Context, hash string, c claim) error {
	_, err := l.run(ctx, releaseScript, []string{inputKey(hash)}, c.String())
	return err
}

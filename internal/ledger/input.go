package ledger

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
)

// claimTTL is how long the input of a run that is being opened stays reserved: many times what Open takes, and as long
// as the input is blocked when the process dies inside Open.
const claimTTL = 15 * time.Second

// claim is a run's hold on its inputs. The owner makes it unique to one Open.
//
// The input's key and the run's meta may live on different servers, so no script sees both. The order makes it safe: a
// claim with a time to live comes first, then meta, then the claim is made to last. A claim that ends by itself always
// counts as held; a lasting one counts while its run is there and not finished. Whoever dies in between leaves nothing
// that blocks the input for longer than claimTTL.
type claim struct {
	runID uuid.UUID
	owner string
}

func (c claim) String() string { return c.runID.String() + "/" + c.owner }

// inputsOf are the hashes under which a run refuses others like it.
func inputsOf(m *manifest.Manifest) []string {
	if m.TypedHash == "" {
		return []string{m.InputHash}
	}
	return []string{m.InputHash, m.TypedHash}
}

// claimInputs reserves the run's inputs and returns those that are claimed. It returns a *backfill.RefusedError when
// another run holds one of them; with force the other keeps it.
func (l *Ledger) claimInputs(ctx context.Context, m *manifest.Manifest, c claim, force bool) (claimed []string, err error) {
	for _, hash := range inputsOf(m) {
		err := l.claimInput(ctx, hash, c)
		switch {
		case err == nil:
			claimed = append(claimed, hash)
		case !force || !isDuplicate(err):
			return nil, errors.Join(err, l.releaseInputs(ctx, claimed, c))
		}
	}
	return claimed, nil
}

// claimRounds bounds how often a claim is tried while dead holders of the input replace one another.
const claimRounds = 5

// claimInput reserves the input. It returns a *backfill.RefusedError when another run holds it.
func (l *Ledger) claimInput(ctx context.Context, hash string, c claim) error {
	finished := ""
	for range claimRounds {
		r, err := l.run(ctx, claimInputScript, []string{inputKey(hash)}, c.String(), claimTTL.Milliseconds(), finished)
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
		finished = holder
	}
	return fmt.Errorf("claim input %s: its holder changed %d times", hash, claimRounds)
}

// checkHolder returns a *backfill.RefusedError unless the holder's run is over or gone.
func (l *Ledger) checkHolder(ctx context.Context, holder string, opening bool) error {
	runID, err := runOfHolder(holder)
	if err != nil {
		return err
	}
	if opening {
		return sameInput(runID)
	}
	phase, err := l.Phase(ctx, runID)
	if errors.Is(err, backfill.ErrUnknownRun) {
		return nil
	}
	if err != nil {
		return err
	}
	if phase != backfill.PhaseFinished {
		return sameInput(runID)
	}
	return nil
}

func sameInput(holder uuid.UUID) error {
	return &backfill.RefusedError{Reason: backfill.RefusedSameInput, RunID: holder}
}

// runOfHolder reads the run out of the holder of an input.
func runOfHolder(holder string) (uuid.UUID, error) {
	id, _, _ := strings.Cut(holder, "/")
	runID, err := uuid.Parse(id)
	if err != nil {
		return runID, fmt.Errorf("holder %q of the input is no run: %w", holder, err)
	}
	return runID, nil
}

// confirmInputs makes the claims last. With force a run that took one of them meanwhile keeps it.
func (l *Ledger) confirmInputs(ctx context.Context, claimed []string, c claim, force bool) error {
	for _, hash := range claimed {
		if err := l.confirmInput(ctx, hash, c); err != nil && !(force && isDuplicate(err)) {
			return err
		}
	}
	return nil
}

// confirmInput makes the claim last. It returns a *backfill.RefusedError when this process stood still for
// longer than claimTTL and another run took the input.
func (l *Ledger) confirmInput(ctx context.Context, hash string, c claim) error {
	r, err := l.run(ctx, confirmInputScript, []string{inputKey(hash)}, c.String())
	if err != nil {
		return err
	}
	if r.status() == "taken" {
		holder, err := runOfHolder(r.text(1))
		if err != nil {
			return err
		}
		return sameInput(holder)
	}
	return nil
}

// releaseInputs frees those of the inputs that the claim still holds.
func (l *Ledger) releaseInputs(ctx context.Context, hashes []string, c claim) (err error) {
	for _, hash := range hashes {
		_, released := l.run(ctx, releaseScript, []string{inputKey(hash)}, c.String())
		err = errors.Join(err, released)
	}
	return err
}

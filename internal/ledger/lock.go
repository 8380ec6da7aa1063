package ledger

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/google/uuid"
)

// lockTime is for how long a lock outlives a holder that died; it is renewed three times as often.
const lockTime = 30 * time.Second

// lockPoll is how often a lock that somebody else has is asked for again.
const lockPoll = 200 * time.Millisecond

// lockTurn is for how long a free lock is kept for the one who waits for it: longer than a poll, in case it died.
const lockTurn = 5 * lockPoll

// errLockLost ends the work of a holder that stood still for longer than its lock lasts.
var errLockLost = errors.New("the lock was lost: this process stood still for too long")

// WithLock does the work while nobody else has the lock of this name, waiting for it as long as the context lasts. Who
// waits gets it before who had it last. The work's context ends when the lock is lost.
func (l *Ledger) WithLock(ctx context.Context, name string, work func(context.Context) error) error {
	key, holder := "quantbot:lock:"+name, uuid.NewString()
	if err := l.acquire(ctx, key, holder); err != nil {
		return err
	}
	ctx, lose := context.WithCancelCause(ctx)
	var renewing sync.WaitGroup
	renewing.Go(func() { l.keepLock(ctx, key, holder, lose) })
	err := work(ctx)
	lost := context.Cause(ctx)
	lose(nil)
	renewing.Wait()
	release, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if _, releaseErr := l.run(release, releaseScript, []string{key}, holder); releaseErr != nil && err == nil {
		return nil // it ends by itself
	}
	if errors.Is(lost, errLockLost) {
		return errors.Join(errLockLost, err)
	}
	return err
}

func (l *Ledger) acquire(ctx context.Context, key, holder string) error {
	for {
		r, err := l.run(ctx, lockScript, []string{key, "{" + key + "}:next"}, holder, lockTime.Milliseconds(), lockTurn.Milliseconds())
		if err != nil || r.status() == "ok" {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// keepLock renews the lock, and gives it up for lost when another has it or it was not renewed for as long as it lasts.
func (l *Ledger) keepLock(ctx context.Context, key, holder string, lose context.CancelCauseFunc) {
	ticker := time.NewTicker(lockTime / 3)
	defer ticker.Stop()
	over := time.NewTimer(lockTime)
	defer over.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-over.C:
			lose(errLockLost)
			return
		case <-ticker.C:
		}
		r, err := l.run(ctx, leaseScript, []string{key}, holder, lockTime.Milliseconds())
		switch {
		case err != nil: // the next tick tries again
		case r.status() == "ok":
			over.Reset(lockTime)
		default:
			lose(errLockLost)
			return
		}
	}
}

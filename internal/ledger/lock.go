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

// errLockLost ends the work of a holder whose lock was not renewed for as long as it lasts, or that Redis no longer has.
var errLockLost = errors.New("the lock was lost during the work, which another process may have done at the same time: " +
	"redis was away, or this process stood still, for too long")

// WithLock does the work while nobody else has the lock of this name, waiting for it as long as the context lasts. Who
// waits gets it before who had it last. The work's context ends when the lock is lost, and WithLock then says so, whatever the
// work says and whether or not Redis answers at the end.
func (l *Ledger) WithLock(ctx context.Context, name string, work func(context.Context) error) error {
	key, holder := lockKey(name), uuid.NewString()
	ctx, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	expiry, err := l.acquire(ctx, key, holder, lose)
	if err != nil {
		return err
	}
	var renewing sync.WaitGroup
	renewing.Go(func() { l.keepLock(ctx, key, holder, expiry, lose) })
	err = work(ctx)
	lost := context.Cause(ctx)
	lose(nil)
	renewing.Wait()
	if had := l.releaseLock(ctx, key, holder); !had || errors.Is(lost, errLockLost) {
		return errors.Join(errLockLost, err)
	}
	return err
}

// expire loses the lock when it ends in Redis, unless it is stopped before. It is started before Redis is asked: the answer may
// come late, and until then the lock's time passes already.
func (l *Ledger) expire(lose context.CancelCauseFunc) *time.Timer {
	return time.AfterFunc(l.lockTime, func() { lose(errLockLost) })
}

func (l *Ledger) acquire(ctx context.Context, key, holder string, lose context.CancelCauseFunc) (expiry *time.Timer, err error) {
	for {
		expiry := l.expire(lose)
		r, err := l.run(ctx, lockScript, []string{key, nextKey(key)}, holder, l.lockTime.Milliseconds(), lockTurn.Milliseconds())
		if err == nil && r.status() == "ok" {
			return expiry, nil
		}
		expiry.Stop()
		if err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(lockPoll):
		}
	}
}

// keepLock renews the lock until the context ends. Where Redis does not answer, expiry goes on.
func (l *Ledger) keepLock(ctx context.Context, key, holder string, expiry *time.Timer, lose context.CancelCauseFunc) {
	defer func() { expiry.Stop() }()
	ticker := time.NewTicker(l.lockTime / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		renewed := l.expire(lose)
		r, err := l.run(ctx, keepLockScript, []string{key}, holder, l.lockTime.Milliseconds())
		switch {
		case err != nil: // the next tick tries again
			renewed.Stop()
		case r.status() == "ok":
			expiry.Stop()
			expiry = renewed
		default:
			renewed.Stop()
			lose(errLockLost)
			return
		}
	}
}

// releaseLock frees the lock and reports whether it was held until now. When Redis does not answer, it was held as long as
// expiry says, and ends by itself.
func (l *Ledger) releaseLock(ctx context.Context, key, holder string) (held bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	r, err := l.run(ctx, keepLockScript, []string{key}, holder, l.lockTime.Milliseconds())
	if err != nil {
		return true
	}
	if r.status() != "ok" {
		return false
	}
	_, _ = l.run(ctx, releaseScript, []string{key}, holder) // it ends by itself
	return true
}

package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

// Lease gives one holder at a time the right to the duty until the time is over; its holder may renew it. Unlike WithLock it
// does not wait, and the duty must bear that two do it.
func (l *Ledger) Lease(ctx context.Context, duty backfill.Duty, holder string, ttl time.Duration) (held bool, err error) {
	r, err := l.run(ctx, leaseScript, []string{leaseKey(duty)}, holder, ttl.Milliseconds())
	if err != nil {
		return false, err
	}
	return r.status() == "ok", nil
}

// ReleaseLease gives the lease back early. It leaves another's lease alone.
func (l *Ledger) ReleaseLease(ctx context.Context, duty backfill.Duty, holder string) error {
	_, err := l.run(ctx, releaseScript, []string{leaseKey(duty)}, holder)
	return err
}

// LeaseHolder returns who has the duty now; empty when nobody does.
func (l *Ledger) LeaseHolder(ctx context.Context, duty backfill.Duty) (string, error) {
	holder, err := l.client.Get(ctx, leaseKey(duty)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return "", redisError("read the holder of the lease "+string(duty), err)
	}
	return holder, nil
}

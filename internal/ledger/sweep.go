package ledger

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"
)

// NoteSwept remembers when a sweep last succeeded, for people to see.
func (l *Ledger) NoteSwept(ctx context.Context, at time.Time) error {
	if err := l.client.Set(ctx, sweptKey, at.Unix(), 0).Err(); err != nil {
		return redisError("note the sweep", err)
	}
	return nil
}

// SweptAt returns when a sweep last succeeded; the zero time when none has.
func (l *Ledger) SweptAt(ctx context.Context) (time.Time, error) {
	seconds, err := l.client.Get(ctx, sweptKey).Int64()
	if errors.Is(err, redis.Nil) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, redisError("read when the sweep succeeded", err)
	}
	return time.Unix(seconds, 0), nil
}

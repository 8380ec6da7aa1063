package ledger_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestOneHasTheLockAtATime(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	var inside, most, done atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			err := l.WithLock(t.Context(), "x", func(context.Context) error {
				most.Store(max(most.Load(), inside.Add(1)))
				defer inside.Add(-1)
				done.Add(1)
				return nil
			})
			if err != nil {
				t.Errorf("lock: %v", err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 1, most.Load())
	require.EqualValues(t, 8, done.Load())
	require.Zero(t, client.Exists(t.Context(), "quantbot:lock:x").Val())
}

func TestALockIsWaitedForAndItsErrorsAreThoseOfTheWork(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	cause := errors.New("x")
	require.ErrorIs(t, l.WithLock(t.Context(), "x", func(context.Context) error { return cause }), cause)
	require.NoError(t, client.Set(t.Context(), "quantbot:lock:x", "another", time.Minute).Err())
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, l.WithLock(ctx, "x", func(context.Context) error { return nil }), context.DeadlineExceeded)
	require.Equal(t, "another", client.Get(t.Context(), "quantbot:lock:x").Val())
}

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

// A sweep takes the lock for each slice, and again at once: who waits for it meanwhile comes next, and does not wait for the
// end of the sweep.
func TestWhoWaitsForALockComesNext(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var slices atomic.Int64
	var sweeping sync.WaitGroup
	sweeping.Go(func() {
		for ctx.Err() == nil {
			_ = l.WithLock(ctx, "x", func(context.Context) error {
				slices.Add(1)
				time.Sleep(50 * time.Millisecond) // the work of a slice
				return nil
			})
		}
	})
	require.Eventually(t, func() bool { return slices.Load() > 1 }, 10*time.Second, time.Millisecond)
	began := slices.Load()
	for range 3 {
		require.NoError(t, l.WithLock(t.Context(), "x", func(context.Context) error { return nil }))
	}
	during := slices.Load() - began
	after := slices.Load()
	require.Eventually(t, func() bool { return slices.Load() > after+1 }, 10*time.Second, time.Millisecond, "the sweep goes on")
	stop()
	sweeping.Wait()
	require.LessOrEqual(t, during, int64(20), "three times it waited for the slices of a poll or so")
	require.Zero(t, client.Exists(t.Context(), "quantbot:lock:x", "{quantbot:lock:x}:next").Val())
}

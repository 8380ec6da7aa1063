package ledger_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/ledger"
	"quantbot/internal/local/localtest"
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
	require.Eventually(t, func() bool { return slices.Load() > 1 }, 2*time.Minute, time.Millisecond)
	began := slices.Load()
	for range 3 {
		require.NoError(t, l.WithLock(t.Context(), "x", func(context.Context) error { return nil }))
	}
	during := slices.Load() - began
	after := slices.Load()
	require.Eventually(t, func() bool { return slices.Load() > after+1 }, 2*time.Minute, time.Millisecond, "the sweep goes on")
	stop()
	sweeping.Wait()
	require.LessOrEqual(t, during, int64(20), "three times it waited for the slices of a poll or so")
	require.Zero(t, client.Exists(t.Context(), "quantbot:lock:x", "{quantbot:lock:x}:next").Val())
}

const lockLost = "the lock was lost during the work"

// Redis stands still while the work goes on, and when the lock is to be released: its holder has not had it alone.
func TestALostLockIsSaidEvenWhenRedisIsAway(t *testing.T) {
	t.Parallel()
	server := localtest.StartRedis(t)
	client := redis.NewClient(&redis.Options{Addr: server.Addr, ContextTimeoutEnabled: true})
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	l := ledger.New(client).WithLockTime(time.Second)
	err := l.WithLock(t.Context(), "x", func(ctx context.Context) error {
		server.Stop()
		<-ctx.Done()
		return nil
	})
	require.ErrorContains(t, err, lockLost)
	server.Continue()
	cause := errors.New("x")
	err = l.WithLock(t.Context(), "y", func(ctx context.Context) error {
		server.Kill()
		<-ctx.Done()
		return cause
	})
	require.ErrorContains(t, err, lockLost)
	require.ErrorIs(t, err, cause)
}

// Redis was emptied, or its successor lacks the last writes: another may have had the lock since.
func TestALockThatRedisNoLongerHasIsLost(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	l.WithLockTime(300 * time.Millisecond)
	gone := func() error { return client.Del(t.Context(), "quantbot:lock:x").Err() }
	require.ErrorContains(t, l.WithLock(t.Context(), "x", func(context.Context) error { return gone() }), lockLost, "at the end")
	require.ErrorContains(t, l.WithLock(t.Context(), "x", func(ctx context.Context) error {
		require.NoError(t, gone())
		<-ctx.Done() // the next renewal sees it
		return nil
	}), lockLost)
	require.Zero(t, client.Exists(t.Context(), "quantbot:lock:x").Val(), "it was not taken again")
}

// The answer to who asked for the lock was lost, and the client asked again.
func TestWhoHasALockGetsIt(t *testing.T) {
	t.Parallel()
	options, err := redis.ParseURL(localtest.NewRedis(t))
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	client.AddHook(&twice{})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // below what a lock lasts
	defer cancel()
	require.NoError(t, ledger.New(client).WithLock(ctx, "x", func(context.Context) error { return nil }))
}

// twice sends every script a second time, as the client does when an answer is lost.
type twice struct{}

func (*twice) DialHook(next redis.DialHook) redis.DialHook { return next }

func (*twice) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (*twice) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		if err := next(ctx, cmd); err != nil || !strings.HasPrefix(cmd.Name(), "eval") {
			return err
		}
		return next(ctx, cmd)
	}
}

package wiring_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/tasks"
)

// Every worker keeps the schedule, and clocks differ: each tick is swept once, also after its sweep has ended.
func TestManySchedulersSweepOnce(t *testing.T) {
	t.Parallel()
	w := setup(t)
	tick := time.Date(2026, 1, 5, 3, 30, 0, 0, time.UTC)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var schedulers sync.WaitGroup
	defer schedulers.Wait()
	defer cancel()
	schedule := func(ahead time.Duration) (enqueued <-chan struct{}) {
		began, asked := time.Now(), make(chan struct{}, 2)
		clock := func() time.Time {
			now := tick.Add(ahead - 500*time.Millisecond + time.Since(began))
			if now.After(tick) { // it looks for the next tick: it has enqueued this one
				select {
				case asked <- struct{}{}:
				default:
				}
			}
			return now
		}
		schedulers.Go(func() {
			if err := tasks.ScheduleSweeps(ctx, w.Queue, "30 3 * * *", clock, w.logger); err != nil {
				t.Error(err)
			}
		})
		return asked
	}
	for _, ahead := range []time.Duration{0, 200 * time.Millisecond, 400 * time.Millisecond} {
		<-schedule(ahead)
	}
	waiting, err := w.inspector.ListPendingTasks(tasks.QueueMaintenance)
	require.NoError(t, err)
	require.Len(t, waiting, 1)

	var sweeps atomic.Int64
	handler := w.handler()
	handler.Sweep = func(context.Context) error { sweeps.Add(1); return nil }
	workers := make(chan error, 2)
	for range 2 {
		go func() {
			workers <- tasks.Serve(ctx, tasks.ServerConfig{Redis: w.conn, Concurrency: 2, ShutdownTimeout: 5 * time.Second}, handler, nil)
		}()
	}
	completed := func() bool {
		done, err := w.inspector.ListCompletedTasks(tasks.QueueMaintenance)
		return err == nil && len(done) == 1
	}
	require.Eventually(t, completed, 2*time.Minute, 20*time.Millisecond)
	require.NoError(t, w.Queue.EnqueueSweep(t.Context(), tick), "a worker whose clock is late")
	require.NoError(t, w.Queue.EnqueueSweep(t.Context(), tick.Add(24*time.Hour)))
	require.Eventually(t, func() bool { return sweeps.Load() == 2 }, 2*time.Minute, 20*time.Millisecond, "the next day has its own")
	cancel()
	for range 2 {
		require.NoError(t, <-workers)
	}
	require.EqualValues(t, 2, sweeps.Load())
}

func TestABadScheduleIsRefused(t *testing.T) {
	t.Parallel()
	err := tasks.ScheduleSweeps(t.Context(), nil, "sometimes", time.Now, nil)
	require.ErrorContains(t, err, `"sometimes"`)
}

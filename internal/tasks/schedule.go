package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/robfig/cron/v3"

	"quantbot/internal/backfill"
)

// sweepRetention is how long the id of a sweep stays taken after it has ended: workers whose clocks differ by less than
// that do not run the same sweep twice.
const sweepRetention = 24 * time.Hour

// sweepRetries is small: the next sweep comes by itself.
const sweepRetries = 3

// ScheduleSweeps enqueues a sweep at every tick of the cron spec (UTC) until ctx ends. Every worker may run it: the tick
// is part of the task's id, so that each sweep is enqueued once.
func ScheduleSweeps(ctx context.Context, q *Queue, spec string, now func() time.Time, logger *slog.Logger) error {
	schedule, err := cron.ParseStandard(spec)
	if err != nil {
		return fmt.Errorf("read the sweep's schedule %q: %w", spec, err)
	}
	for {
		tick := schedule.Next(now().UTC())
		timer := time.NewTimer(tick.Sub(now()))
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := q.EnqueueSweep(ctx, tick); err != nil {
			logger.WarnContext(ctx, "sweep not enqueued, the next one comes by itself", "tick", tick, "err", err)
		}
	}
}

// EnqueueSweep enqueues the sweep of a tick; one that is there, or has run, is left alone.
func (q *Queue) EnqueueSweep(ctx context.Context, tick time.Time) error {
	client, err := q.registered(QueueMaintenance)
	if err != nil {
		return err
	}
	_, err = client.EnqueueContext(ctx, asynq.NewTask(TypeSweep, nil), asynq.Queue(QueueMaintenance),
		asynq.TaskID("sweep:"+strconv.FormatInt(tick.Unix(), 10)), asynq.MaxRetry(sweepRetries),
		asynq.Retention(sweepRetention), asynq.Timeout(taskTimeout))
	if err == nil || errors.Is(err, asynq.ErrTaskIDConflict) {
		return nil
	}
	return backfill.WithClass(backfill.ClassStore, fmt.Errorf("enqueue the sweep of %s: %w", tick, err))
}

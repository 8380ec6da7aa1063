package wiring

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/ledger"
)

// Operator does what people ask of runs, under the locks that it takes. The commands and the dashboard go through it, so
// that both do the same.
type Operator struct {
	Stores *Stores
	// Name is this process in the outcomes that it writes.
	Name   string
	Logger *slog.Logger
	Now    func() time.Time
}

// untold is how long a person waits for the maintenance lock without being told.
const untold = 3 * time.Second

// locked does the work under the maintenance lock. Others hold it for a slice of a sweep, a purged run or a rollback; one that
// was killed keeps it for half a minute.
func (o *Operator) locked(ctx context.Context, work func(context.Context) error) error {
	if err := o.Stores.Deployment.Check(ctx); err != nil {
		return err // Redis or ClickHouse became another one since this process was started
	}
	waiting := time.AfterFunc(untold, func() {
		o.Logger.WarnContext(ctx, "waiting for a sweep, purge or rollback that is under way")
	})
	defer waiting.Stop()
	return o.Stores.Ledger.WithLock(ctx, ledger.MaintenanceLock, func(ctx context.Context) error {
		waiting.Stop()
		return work(ctx)
	})
}

// RollBack hides the run's candles; see clickhouse.DB.RollBack for its errors.
func (o *Operator) RollBack(ctx context.Context, runID uuid.UUID, request clickhouse.Request, force bool) error {
	return o.locked(ctx, func(ctx context.Context) error {
		return o.Stores.History.RollBack(ctx, runID, request, force)
	})
}

// Restore shows a rolled-back run again; see clickhouse.DB.Restore for its errors.
func (o *Operator) Restore(ctx context.Context, runID uuid.UUID, request clickhouse.Request) error {
	return o.locked(ctx, func(ctx context.Context) error {
		return o.Stores.History.Restore(ctx, runID, request)
	})
}

// Retry takes the run's failed and cancelled chunks up again; see backfill.Retrier for its errors. Under the lock, because a
// run that is rolled back is not retried, and one that runs is not rolled back.
func (o *Operator) Retry(ctx context.Context, runID uuid.UUID, force bool) (run backfill.Run, err error) {
	err = o.locked(ctx, func(ctx context.Context) (err error) {
		run, err = o.Stores.Retrier(o.Logger, o.Now).Retry(ctx, runID, force)
		return err
	})
	return run, err
}

// Cancel ends the run; see backfill.Canceller for its errors.
func (o *Operator) Cancel(ctx context.Context, runID uuid.UUID) error {
	if err := o.Stores.Deployment.Check(ctx); err != nil {
		return err
	}
	return o.Stores.Canceller(o.Name, o.Logger, o.Now).Cancel(ctx, runID)
}

// Sweep removes redundant versions, one slice at a time under the lock. That all of them were swept is noted, whoever asked.
func (o *Operator) Sweep(ctx context.Context, sweep clickhouse.Sweep) ([]clickhouse.SweptMonth, error) {
	sweep.Locked = o.locked
	swept, err := o.Stores.History.Sweep(ctx, sweep)
	if err == nil && !sweep.DryRun && len(sweep.Intervals) == 0 {
		o.Stores.noteSwept(ctx, o.Now(), o.Logger)
	}
	return swept, err
}

// Package operate does what people ask of runs: roll back, restore, retry, resume, cancel, sweep. The command line and the
// dashboard go through it, so that both do the same under the same locks, and refuse in the same words
// (backfill.RefusedError).
package operate

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// History is what an Operator asks of the history of runs and of the stored candles. What a run's state forbids comes back
// as a *backfill.RefusedError.
type History interface {
	// Run returns backfill.ErrUnknownRun when there is no such run.
	Run(ctx context.Context, runID uuid.UUID) (backfill.RunRecord, error)
	MayRollBack(ctx context.Context, runID uuid.UUID) error
	PreviewRollback(ctx context.Context, runID uuid.UUID) (backfill.RollbackPreview, error)
	RollBack(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest, force bool) error
	Restore(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest) error
	Sweep(ctx context.Context, request backfill.SweepRequest) ([]backfill.SweptMonth, error)
}

// Retrier starts a further attempt of a run that has ended: backfill.Retrier.
type Retrier interface {
	Retry(ctx context.Context, runID uuid.UUID, force bool) (backfill.Run, error)
}

// Canceller ends a run before its time: backfill.Canceller.
type Canceller interface {
	Cancel(ctx context.Context, runID uuid.UUID) error
}

// Resumer goes on with a run that was lost or stands still: backfill.Reconciler.
type Resumer interface {
	Resume(ctx context.Context, run backfill.Run) error
}

// Guard keeps this process to its own deployment: backfill.DeploymentGuard.
type Guard interface {
	Check(ctx context.Context) error
}

// Operator does what people ask of runs, under the locks that it takes. All fields are required.
type Operator struct {
	History    History
	Retrier    Retrier
	Canceller  Canceller
	Resumer    Resumer
	Deployment Guard
	// WithLock does the work while no other process sweeps, purges, rolls back, restores or begins a retry.
	WithLock func(ctx context.Context, work func(context.Context) error) error
	// NoteSwept is called after a sweep over all intervals.
	NoteSwept func(ctx context.Context)
	Logger    *slog.Logger
}

// quietWait is how long a person waits for the maintenance lock before a log line says so.
const quietWait = 3 * time.Second

// locked does the work under the maintenance lock. Others hold it for a slice of a sweep, a purged run or a rollback; one that
// was killed keeps it for half a minute.
func (o *Operator) locked(ctx context.Context, work func(context.Context) error) error {
	if err := o.Deployment.Check(ctx); err != nil {
		return err // Redis or ClickHouse became another one since this process was started
	}
	waiting := time.AfterFunc(quietWait, func() {
		o.Logger.WarnContext(ctx, "waiting for a sweep, purge or rollback that is under way")
	})
	defer waiting.Stop()
	return o.WithLock(ctx, func(ctx context.Context) error {
		waiting.Stop()
		return work(ctx)
	})
}

// PreviewRollback says what a rollback of the run would do. It is refused where the status of the run forbids a rollback;
// removed versions are in the preview.
func (o *Operator) PreviewRollback(ctx context.Context, runID uuid.UUID) (backfill.RollbackPreview, error) {
	if err := o.History.MayRollBack(ctx, runID); err != nil {
		return backfill.RollbackPreview{}, err
	}
	return o.History.PreviewRollback(ctx, runID)
}

// RollBack hides the run's candles. force does it even where removed versions leave gaps.
func (o *Operator) RollBack(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest, force bool) error {
	return o.locked(ctx, func(ctx context.Context) error {
		return o.History.RollBack(ctx, runID, request, force)
	})
}

// Restore shows a rolled-back run again.
func (o *Operator) Restore(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest) error {
	return o.locked(ctx, func(ctx context.Context) error {
		return o.History.Restore(ctx, runID, request)
	})
}

// Retry takes the run's failed and cancelled chunks up again and returns the attempt. It is under the lock, because a run that
// is rolled back is not retried, and one that runs is not rolled back.
func (o *Operator) Retry(ctx context.Context, runID uuid.UUID, force bool) (run backfill.Run, err error) {
	err = o.locked(ctx, func(ctx context.Context) (err error) {
		run, err = o.Retrier.Retry(ctx, runID, force)
		return err
	})
	return run, err
}

// Cancel ends the run.
func (o *Operator) Cancel(ctx context.Context, runID uuid.UUID) error {
	if err := o.Deployment.Check(ctx); err != nil {
		return err
	}
	err := o.Canceller.Cancel(ctx, runID)
	if errors.Is(err, backfill.ErrUnknownRun) || errors.Is(err, backfill.ErrFinished) {
		return &backfill.RefusedError{Reason: backfill.RefusedNotRunning, RunID: runID}
	}
	return err
}

// Resume goes on with a run that is running for the history, and returns it.
func (o *Operator) Resume(ctx context.Context, runID uuid.UUID) (backfill.Run, error) {
	record, err := o.History.Run(ctx, runID)
	if err != nil {
		return backfill.Run{}, fmt.Errorf("look up run %s: %w", runID, err)
	}
	if record.Status != backfill.StatusRunning {
		return backfill.Run{}, &backfill.RefusedError{Reason: backfill.RefusedNothingToResume, RunID: runID, Status: record.Status}
	}
	return record.Run, o.Resumer.Resume(ctx, record.Run)
}

// PreviewSweep says what the sweep would remove.
func (o *Operator) PreviewSweep(ctx context.Context, request backfill.SweepRequest) ([]backfill.SweptMonth, error) {
	request.DryRun = true
	return o.History.Sweep(ctx, request)
}

// Sweep removes redundant versions, one slice at a time under the lock. That all of them were swept is noted, whoever asked.
func (o *Operator) Sweep(ctx context.Context, request backfill.SweepRequest) ([]backfill.SweptMonth, error) {
	request.Locked = o.locked
	swept, err := o.History.Sweep(ctx, request)
	if err == nil && !request.DryRun && len(request.Intervals) == 0 {
		o.NoteSwept(ctx)
	}
	return swept, err
}

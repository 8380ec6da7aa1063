package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/pause"
)

// HeartbeatEvery is how often a planning process shows that it lives, and HeartbeatStale when the others stop believing
// it: seven missed beats, so that neither a long garbage collection nor a short Redis outage takes a run from its process.
// An older enqueuer beats every 3 seconds.
const (
	HeartbeatEvery = 2 * time.Second
	HeartbeatStale = 15 * time.Second
)

// launchBatch is how many chunks are stored and enqueued at a time: it bounds what a crash leaves to repair.
const launchBatch = 5_000

// Launcher starts runs.
type Launcher struct {
	Ledger  LaunchLedger
	History LaunchHistory
	Queue   Queue
	// Finisher ends a run in which nothing is pending when its plan is sealed.
	Finisher *Finisher
	Logger   *slog.Logger
	// OnEnqueued, when set, is called after each batch with how many chunks of the plan are enqueued.
	OnEnqueued func(done, total int)
}

// Launch makes the run durable, then enqueues its chunks, then seals it. If it dies on the way, the reconciler finishes
// the job or fails the run. A *RefusedError says that the same input is running, unless force; ErrStale that another
// process took the run over and goes on with it.
func (l *Launcher) Launch(ctx context.Context, run Run, chunks []Chunk, force bool) error {
	epoch, err := l.Ledger.Open(ctx, run, force)
	if err != nil {
		return fmt.Errorf("open run %s: %w", run.ID(), err)
	}
	err = l.Continue(ctx, run, epoch, chunks)
	for tries := 0; errors.Is(err, ErrUnknownRun) && tries < maxRelaunches; tries++ {
		l.Logger.WarnContext(ctx, "ledger lost the run that is being launched, launching it again", "run_id", run.ID())
		epoch, err = l.Ledger.Rebuild(ctx, run)
		if errors.Is(err, ErrFinished) {
			return ErrStale // a reconciler was faster and goes on with it
		}
		if err == nil {
			err = l.Continue(ctx, run, epoch, chunks)
		}
	}
	return err
}

// maxRelaunches bounds how often a launch begins again because Redis was emptied under it.
const maxRelaunches = 3

// Continue does what is left of a launch after the run was opened, taken over or rebuilt under the epoch. Every step may
// have been done before.
func (l *Launcher) Continue(ctx context.Context, run Run, epoch int64, chunks []Chunk) error {
	ctx, stop := l.keepAlive(ctx, run.ID(), epoch)
	defer stop()
	stale := l.writeHistory(ctx, run, chunks)
	err := retry(ctx, func() error { return l.Ledger.SetHistoryStale(ctx, run.ID(), stale) })
	if err != nil {
		return fmt.Errorf("note the history's state of run %s: %w", run.ID(), launchError(ctx, err))
	}
	// The whole plan is stored before the first task is enqueued: from here on anybody can go on with it (R1).
	for batch := range slices.Chunk(chunks, launchBatch) {
		err := retry(ctx, func() error { return l.Ledger.StorePlan(ctx, run.ID(), epoch, batch) })
		if err != nil {
			return fmt.Errorf("store the plan of run %s: %w", run.ID(), launchError(ctx, err))
		}
	}
	if err := l.enqueue(ctx, run, chunks); err != nil {
		return launchError(ctx, err)
	}
	finish := false
	err = retry(ctx, func() (err error) {
		finish, err = l.Ledger.Seal(ctx, run.ID(), epoch)
		return err
	})
	if err != nil {
		return fmt.Errorf("seal run %s: %w", run.ID(), launchError(ctx, err))
	}
	if !finish {
		return nil
	}
	// A run without chunks ends here and now, whether or not a worker is there.
	return l.Finisher.Finish(ctx, run.ID(), run.Attempt)
}

// writeHistory reports whether the history is stale. Trouble with the audit trail does not stop the run (R7): the
// reconciler writes the rows when the history is back.
func (l *Launcher) writeHistory(ctx context.Context, run Run, chunks []Chunk) (stale bool) {
	err := l.History.Planned(ctx, run, chunks)
	if err == nil {
		err = l.History.Started(ctx, run)
	}
	if err != nil {
		l.Logger.WarnContext(ctx, "run history not writable, going on without it", "run_id", run.ID(), "err", err)
	}
	return err != nil
}

func (l *Launcher) enqueue(ctx context.Context, run Run, chunks []Chunk) error {
	done := 0
	for batch := range slices.Chunk(chunks, launchBatch) {
		if err := retry(ctx, func() error { return l.Queue.EnqueueChunks(ctx, run, batch) }); err != nil {
			return fmt.Errorf("enqueue chunks of run %s: %w", run.ID(), err)
		}
		done += len(batch)
		if l.OnEnqueued != nil {
			l.OnEnqueued(done, len(chunks))
		}
	}
	return nil
}

// Each step of a launch is retried while our own stores do not respond: a restart of Redis takes seconds. Doing it twice is harmless.
const (
	retryTimes = 30
	retryPause = time.Second
)

// retry repeats what fails because a store does not answer.
func retry(ctx context.Context, do func() error) error {
	for tries := 1; ; tries++ {
		err := do()
		lost := errors.Is(err, ErrUnknownRun) || errors.Is(err, ErrStale)
		if err == nil || lost || ClassOf(err) != ClassStore || tries == retryTimes {
			return err
		}
		if pause.For(ctx, retryPause) != nil {
			return err
		}
	}
}

// keepAlive sends heartbeats until stop is called, which waits for the last one. When the run was taken over, the
// returned context is cancelled with ErrStale as its cause.
func (l *Launcher) keepAlive(parent context.Context, runID uuid.UUID, epoch int64) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	var beating sync.WaitGroup
	beating.Go(func() {
		ticker := time.NewTicker(HeartbeatEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			err := l.Ledger.Heartbeat(ctx, runID, epoch)
			if errors.Is(err, ErrStale) {
				cancel(ErrStale)
				return
			}
			if err != nil && ctx.Err() == nil {
				l.Logger.WarnContext(ctx, "heartbeat of the launching process not written", "run_id", runID, "err", err)
			}
		}
	})
	return ctx, func() { cancel(nil); beating.Wait() }
}

// launchError prefers the reason why the context ended over the error that its end led to.
func launchError(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, ErrStale) {
		return ErrStale
	}
	return err
}

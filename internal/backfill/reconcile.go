package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// OrphansEvery is the pause between two looks of the reconciler at the workers' leases, and a full round comes with every
// fifth. The reconciler's own lease outlives a few looks; when its holder dies, another goes on soon. Two at once would be
// harmless, only wasteful.
const (
	OrphansEvery   = 3 * time.Second
	looksPerRound  = 5
	reconcileLease = 10 * time.Second
)

// reconcileBudget is how many pending chunks of one run are looked up per round; the next round goes on behind them. At
// one round trip each, 2,000 take about a second.
const reconcileBudget = 2_000

// Reconciler repairs runs whose processes died. Any number may run; a lease lets one at a time work, and every action is
// harmless when done twice.
type Reconciler struct {
	Ledger interface {
		LaunchLedger
		FillLedger
		FinishLedger
		ReconcileLedger
		CancelLedger
	}
	History interface {
		LaunchHistory
		FinishHistory
		ReconcileHistory
	}
	Queue Queue
	// Deployment says which runs are this process' own, and whether it may work at all.
	Deployment *DeploymentGuard
	Launcher   *Launcher
	Finisher   *Finisher
	// Name is this process in the lease.
	Name   string
	Logger *slog.Logger
	Now    func() time.Time

	// cursors remember where the scan of a run's pending chunks stopped.
	cursors map[uuid.UUID]uint64
	// suspects are the leases that had run out at the last look.
	suspects map[ExpiredLease]struct{}
}

// Run reconciles until the context ends.
func (r *Reconciler) Run(ctx context.Context) {
	ticker := time.NewTicker(OrphansEvery)
	defer ticker.Stop()
	for look := 0; ; look++ {
		work := r.Look
		if look%looksPerRound == 0 {
			work = r.Round
		}
		if err := work(ctx); err != nil && ctx.Err() == nil {
			r.Logger.WarnContext(ctx, "reconciler round incomplete", "err", err)
		}
		select {
		case <-ctx.Done():
			r.release(ctx)
			return
		case <-ticker.C:
		}
	}
}

// release lets another worker's reconciler go on at once when this one stops.
func (r *Reconciler) release(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if err := r.Ledger.ReleaseLease(ctx, DutyReconcile, r.Name); err != nil {
		r.Logger.WarnContext(ctx, "reconciler lease not released, it will expire", "err", err)
	}
}

// Round looks once at every run that is not over and repairs what it can. Trouble with one run does not keep it from the
// others; all errors are joined.
func (r *Reconciler) Round(ctx context.Context) error {
	return r.leased(ctx, func() error {
		return errors.Join(r.mendQueue(ctx), r.rebuildLost(ctx), r.eachActive(ctx, r.repair), r.lookForOrphans(ctx))
	})
}

// mendQueue goes before the runs, so that the task of a chunk that it removes is found missing in the same round.
func (r *Reconciler) mendQueue(ctx context.Context) error {
	mended, err := r.Queue.Mend(ctx)
	if mended > 0 {
		r.Logger.WarnContext(ctx, "tasks that the queue had left active for ever were mended or removed", "tasks", mended)
	}
	return err
}

// Look only looks for chunks whose worker died, and for runs whose enqueuer did: cheap enough to be done often.
func (r *Reconciler) Look(ctx context.Context) error {
	return r.leased(ctx, func() error { return errors.Join(r.eachActive(ctx, r.resumeDead), r.lookForOrphans(ctx)) })
}

// leased does the work if no other reconciler has the lease, and Redis and ClickHouse belong together: to the reconciler of a
// stranger every run would look lost.
func (r *Reconciler) leased(ctx context.Context, work func() error) error {
	if err := r.Deployment.Check(ctx); err != nil {
		return nil //nolint:nilerr // the guard itself says it
	}
	held, err := r.Ledger.Lease(ctx, DutyReconcile, r.Name, reconcileLease)
	if err != nil {
		return fmt.Errorf("take the reconciler's lease: %w", err)
	}
	if !held {
		return nil
	}
	return work()
}

func (r *Reconciler) eachActive(ctx context.Context, work func(context.Context, LedgerState) error) error {
	active, err := r.Ledger.ActiveRuns(ctx)
	if err != nil {
		return fmt.Errorf("list the active runs: %w", err)
	}
	var errs []error
	for _, runID := range active {
		state, err := r.Ledger.State(ctx, runID)
		switch {
		case errors.Is(err, ErrUnknownRun):
			err = r.forget(ctx, runID)
		case err == nil && r.Deployment.Owns(state.Run.Manifest.DeploymentID):
			err = work(ctx, state)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("repair run %s: %w", runID, err))
		}
	}
	return errors.Join(errs...)
}

// repair does what the phase of the run asks for.
func (r *Reconciler) repair(ctx context.Context, state LedgerState) error {
	if state.HistoryStale && state.Phase != PhasePlanning {
		r.catchUp(ctx, state)
	}
	switch state.Phase {
	case PhasePlanning:
		if state.HeartbeatAge > HeartbeatStale {
			return r.resume(ctx, state)
		}
		return nil
	case PhaseRunning:
		switch {
		case state.Pending > 0 && state.Cancelled:
			r.count(ctx, state.Run.ID(), RepairCancel, state.Pending)
			return r.canceller().EndPending(ctx, state)
		case state.Pending > 0:
			return r.repairPending(ctx, state)
		}
	case PhaseFinishing, PhaseFinished:
	default:
		return fmt.Errorf("unknown phase %q", state.Phase)
	}
	if err := r.Finisher.Finish(ctx, state.Run.ID(), state.Run.Attempt); err != nil {
		return err
	}
	r.count(ctx, state.Run.ID(), RepairFinished, 1)
	return nil
}

func (r *Reconciler) canceller() *Canceller {
	return &Canceller{Ledger: r.Ledger, History: r.History, Finisher: r.Finisher, Name: r.Name, Logger: r.Logger, Now: r.Now}
}

// count keeps what was repaired for people to see; a count that is not written costs nothing else.
func (r *Reconciler) count(ctx context.Context, runID uuid.UUID, action RepairAction, n int) {
	if err := r.Ledger.Count(ctx, runID, action, n); err != nil && !errors.Is(err, ErrUnknownRun) {
		r.Logger.WarnContext(ctx, "repair not counted", "run_id", runID, "action", action, "err", err)
	}
}

// forget drops a run of which only the name in the active set is left: the history rebuilds it if it was not over.
func (r *Reconciler) forget(ctx context.Context, runID uuid.UUID) error {
	if _, err := r.History.Run(ctx, runID); err != nil && !errors.Is(err, ErrUnknownRun) {
		return err
	}
	r.Logger.WarnContext(ctx, "run lost by the ledger, dropped from the active runs", "run_id", runID)
	return r.Ledger.Forget(ctx, runID)
}

// catchUp writes the start and the plan that the history missed (R7).
func (r *Reconciler) catchUp(ctx context.Context, state LedgerState) {
	err := r.Ledger.Plan(ctx, state.Run.ID(), state.Run.Attempt, func(chunks []Chunk) error {
		return r.History.Planned(ctx, state.Run, chunks)
	})
	if err == nil {
		err = r.History.Started(ctx, state.Run)
	}
	if err == nil {
		err = r.Ledger.SetHistoryStale(ctx, state.Run.ID(), false)
	}
	if err != nil {
		r.Logger.WarnContext(ctx, "run history still not writable", "run_id", state.Run.ID(), "err", err)
		return
	}
	r.Logger.InfoContext(ctx, "run history caught up", "run_id", state.Run.ID())
	r.count(ctx, state.Run.ID(), RepairHistory, 1)
}

package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// ReconcileEvery is the pause between two rounds of the reconciler. Its lease outlives three of them, so a slow round
// does not let a second reconciler in; two at once would be harmless, only wasteful.
const (
	ReconcileEvery = 15 * time.Second
	reconcileLease = 3 * ReconcileEvery
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
	}
	History interface {
		LaunchHistory
		FinishHistory
		ReconcileHistory
	}
	Queue    Queue
	Launcher *Launcher
	Finisher *Finisher
	// Name is this process in the lease.
	Name   string
	Logger *slog.Logger
	Now    func() time.Time

	// cursors remember where the scan of a run's pending chunks stopped.
	cursors map[uuid.UUID]uint64
}

// Run reconciles every ReconcileEvery until the context ends.
func (r *Reconciler) Run(ctx context.Context) {
	ticker := time.NewTicker(ReconcileEvery)
	defer ticker.Stop()
	for {
		if err := r.Round(ctx); err != nil && ctx.Err() == nil {
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
	if err := r.Ledger.ReleaseLease(ctx, r.Name); err != nil {
		r.Logger.WarnContext(ctx, "reconciler lease not released, it will expire", "err", err)
	}
}

// Round looks once at every run that is not over and repairs what it can. Trouble with one run does not keep it from the
// others; all errors are joined.
func (r *Reconciler) Round(ctx context.Context) error {
	held, err := r.Ledger.Lease(ctx, r.Name, reconcileLease)
	if err != nil {
		return fmt.Errorf("take the reconciler's lease: %w", err)
	}
	if !held {
		return nil
	}
	errs := []error{r.rebuildLost(ctx)}
	active, err := r.Ledger.ActiveRuns(ctx)
	if err != nil {
		errs = append(errs, fmt.Errorf("list the active runs: %w", err))
	}
	for _, runID := range active {
		if err := r.repair(ctx, runID); err != nil {
			errs = append(errs, fmt.Errorf("repair run %s: %w", runID, err))
		}
	}
	return errors.Join(errs...)
}

// repair does what the phase of the run asks for.
func (r *Reconciler) repair(ctx context.Context, runID uuid.UUID) error {
	state, err := r.Ledger.State(ctx, runID)
	if errors.Is(err, ErrUnknownRun) {
		return r.forget(ctx, runID)
	}
	if err != nil {
		return err
	}
	if state.HistoryBehind && state.Phase != PhasePlanning {
		r.catchUp(ctx, state)
	}
	switch state.Phase {
	case PhasePlanning:
		if state.HeartbeatAge > HeartbeatStale {
			return r.resume(ctx, state)
		}
		return nil
	case PhaseRunning:
		if state.Pending > 0 {
			return r.repairPending(ctx, state)
		}
		fallthrough
	case PhaseFinishing, PhaseFinished:
		return r.Finisher.Finish(ctx, runID, state.Run.Attempt)
	}
	return fmt.Errorf("unknown phase %q", state.Phase)
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
		err = r.Ledger.SetHistoryBehind(ctx, state.Run.ID(), false)
	}
	if err != nil {
		r.Logger.WarnContext(ctx, "run history still not writable", "run_id", state.Run.ID(), "err", err)
		return
	}
	r.Logger.InfoContext(ctx, "run history caught up", "run_id", state.Run.ID())
}

// resume goes on with a launch whose process died: from the ledger's plan or the history's, whichever is whole. When
// neither is, nobody knows what the run was to fetch, and it fails.
func (r *Reconciler) resume(ctx context.Context, state LedgerState) error {
	run := state.Run
	chunks, err := r.wholePlan(ctx, run)
	if err != nil {
		return err
	}
	epoch, err := r.Ledger.TakeOver(ctx, run.ID())
	if err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	if chunks == nil && run.AttemptChunks() > 0 {
		return r.abandon(ctx, run, epoch)
	}
	r.Logger.WarnContext(ctx, "enqueuer died, going on with its plan", "run_id", run.ID(), "chunks", len(chunks))
	return r.Launcher.Continue(ctx, run, epoch, chunks)
}

// wholePlan returns all chunks of the attempt, or nil when neither store has them all.
func (r *Reconciler) wholePlan(ctx context.Context, run Run) ([]Chunk, error) {
	planned, err := r.Ledger.PlannedChunks(ctx, run.ID(), run.Attempt)
	if err != nil {
		return nil, fmt.Errorf("count the ledger's plan: %w", err)
	}
	chunks := make([]Chunk, 0, run.AttemptChunks())
	if planned == run.AttemptChunks() {
		err := r.Ledger.Plan(ctx, run.ID(), run.Attempt, func(batch []Chunk) error {
			chunks = append(chunks, batch...)
			return nil
		})
		return chunks, err
	}
	rows, err := r.History.PlannedCount(ctx, run.ID(), run.Attempt)
	if err != nil {
		return nil, fmt.Errorf("count the history's plan: %w", err)
	}
	if rows != run.AttemptChunks() {
		return nil, nil
	}
	err = r.History.AttemptChunks(ctx, run.ID(), run.Attempt, func(batch []HistoryChunk) error {
		for _, c := range batch {
			chunks = append(chunks, c.Chunk)
		}
		return nil
	})
	return chunks, err
}

// diedPlanning is the error of a run whose plan was lost with its enqueuer.
const diedPlanning = "enqueuer died while planning"

func (r *Reconciler) abandon(ctx context.Context, run Run, epoch int64) error {
	r.Logger.ErrorContext(ctx, "enqueuer died while planning, the run fails", "run_id", run.ID())
	record := RunRecord{Run: run, Status: StatusFailed, CompletedAt: r.Now().UTC(), ErrorMessage: diedPlanning}
	if err := r.Ledger.Abandon(ctx, run.ID(), epoch, record); err != nil && !errors.Is(err, ErrFinished) {
		return fmt.Errorf("abandon the run: %w", err)
	}
	if err := r.History.Finished(ctx, record); err != nil {
		return fmt.Errorf("write the end of the abandoned run: %w", err)
	}
	return r.Ledger.Archive(ctx, run.ID(), run.Attempt)
}

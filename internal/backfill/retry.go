package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/google/uuid"
)

// RetryHistory is what Retry needs.
type RetryHistory interface {
	FinishHistory
	// Run returns one run's latest record; ErrUnknownRun when there is none.
	Run(ctx context.Context, runID uuid.UUID) (RunRecord, error)
	// SuccessesBefore calls yield with the chunks' successes in attempts before this one, each chunk once.
	SuccessesBefore(ctx context.Context, runID uuid.UUID, attempt int, yield func([]Outcome) error) error
	// AttemptChunks is ReconcileHistory's.
	AttemptChunks(ctx context.Context, runID uuid.UUID, attempt int, yield func([]HistoryChunk) error) error
	// Unsuccessful calls yield with the chunks of the run that no attempt filled, and returns how many chunks it has.
	Unsuccessful(ctx context.Context, runID uuid.UUID, yield func([]Chunk) error) (total int, err error)
}

// RetryLedger is what Retry needs.
type RetryLedger interface {
	LaunchLedger
	FinishLedger
	// Late returns the successes that came after their attempt had ended.
	Late(ctx context.Context, runID uuid.UUID) ([]Outcome, error)
	// RestoreOutcomes is ReconcileLedger's.
	RestoreOutcomes(ctx context.Context, runID uuid.UUID, epoch int64, attempt int, outcomes []Outcome) error
}

// Retrier starts further attempts of runs that have ended.
type Retrier struct {
	Ledger   RetryLedger
	History  RetryHistory
	Launcher *Launcher
	Finisher *Finisher
	// DeploymentID is whose attempt it becomes: a run that came with a copied database is the copy's from then on.
	DeploymentID uuid.UUID
	Logger       *slog.Logger
}

// Retry takes up the chunks of the run that no attempt filled, as its next attempt, and returns that. Successes that came
// after their attempt had ended are counted, not fetched again. A *RefusedError says that the run cannot be
// retried, or that another run with the same input goes on (unless force).
func (r *Retrier) Retry(ctx context.Context, runID uuid.UUID, force bool) (Run, error) {
	record, err := r.ended(ctx, runID)
	if err != nil {
		return Run{}, err
	}
	if err := r.adoptLate(ctx, record.Run); err != nil {
		return Run{}, err
	}
	var chunks []Chunk
	total, err := r.History.Unsuccessful(ctx, runID, func(batch []Chunk) error {
		chunks = append(chunks, batch...)
		return nil
	})
	if err != nil {
		return Run{}, fmt.Errorf("read the chunks of run %s: %w", runID, err)
	}
	if total != record.PlannedChunks {
		return Run{}, &RefusedError{Reason: RefusedRetryUnplanned, RunID: runID, Recorded: total, Planned: record.PlannedChunks}
	}
	run := record.Run
	run.Attempt++
	run.RetriedChunks = len(chunks)
	run.Manifest.DeploymentID = r.DeploymentID
	epoch, err := r.Ledger.Open(ctx, run, force)
	if err != nil {
		return Run{}, fmt.Errorf("open attempt %d of run %s: %w", run.Attempt, runID, err)
	}
	r.Logger.InfoContext(ctx, "run retried", "run_id", runID, "attempt", run.Attempt, "chunks", len(chunks))
	return run, r.launch(ctx, run, epoch, chunks)
}

// launch lets earlier successes count before the attempt can end.
func (r *Retrier) launch(ctx context.Context, run Run, epoch int64, chunks []Chunk) error {
	alive, stop := r.Launcher.keepAlive(ctx, run.ID(), epoch)
	err := restorer{ledger: r.Ledger, history: r.History}.restoreEarlier(alive, run, epoch)
	stop()
	if err != nil {
		return err
	}
	return r.Launcher.Continue(ctx, run, epoch, chunks)
}

// ended returns the record of a run whose latest attempt is over in both stores, and refuses any other.
func (r *Retrier) ended(ctx context.Context, runID uuid.UUID) (RunRecord, error) {
	state, err := r.Ledger.State(ctx, runID)
	switch {
	case errors.Is(err, ErrUnknownRun): // archived long ago, or lost: the history decides
	case err != nil:
		return RunRecord{}, err
	case state.Phase != PhaseFinished:
		return RunRecord{}, &RefusedError{Reason: RefusedRetryRunning, RunID: runID}
	default:
		// The history may not have the end yet.
		if err := r.Finisher.Finish(ctx, runID, state.Run.Attempt); err != nil {
			return RunRecord{}, err
		}
	}
	record, err := r.History.Run(ctx, runID)
	if err != nil {
		return record, fmt.Errorf("look up run %s: %w", runID, err)
	}
	switch {
	case record.Status.Retryable():
		return record, nil
	case record.Status == StatusRunning:
		return record, &RefusedError{Reason: RefusedRetryLost, RunID: runID}
	case record.Status == StatusRolledBack:
		return record, &RefusedError{Reason: RefusedRetryRolledBack, RunID: runID}
	default:
		return record, &RefusedError{Reason: RefusedNothingToRetry, RunID: runID, Status: record.Status}
	}
}

// adoptLate writes late successes into the history, in case their workers could not: there they count from now on.
func (r *Retrier) adoptLate(ctx context.Context, run Run) error {
	late, err := r.Ledger.Late(ctx, run.ID())
	if err != nil {
		return fmt.Errorf("read the late outcomes of run %s: %w", run.ID(), err)
	}
	if len(late) == 0 {
		return nil
	}
	r.Logger.InfoContext(ctx, "late successes adopted", "run_id", run.ID(), "chunks", len(late))
	if err := r.History.RecordOutcomes(ctx, run, late); err != nil {
		return fmt.Errorf("write the late outcomes of run %s: %w", run.ID(), err)
	}
	return nil
}

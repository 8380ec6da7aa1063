package backfill

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
)

// rebuildLost brings runs back that the history calls running and the ledger does not know: Redis was emptied (R9). The
// history is read first and the ledger second, so a run that ends in between is still in the ledger when we look.
func (r *Reconciler) rebuildLost(ctx context.Context) error {
	unfinished, err := r.History.Unfinished(ctx)
	if err != nil {
		return fmt.Errorf("list unfinished runs: %w", err)
	}
	var errs []error
	for _, run := range unfinished {
		if !r.Deployment.Owns(run.Manifest.DeploymentID) {
			continue // of the deployment that this database was copied from
		}
		_, err := r.Ledger.State(ctx, run.ID())
		if errors.Is(err, ErrUnknownRun) {
			err = r.Rebuild(ctx, run)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("rebuild run %s: %w", run.ID(), err))
		}
	}
	return errors.Join(errs...)
}

// Resume goes on with a run by hand: it is rebuilt when the ledger does not have it, and repaired otherwise.
func (r *Reconciler) Resume(ctx context.Context, run Run) error {
	if deployment := run.Manifest.DeploymentID; !r.Deployment.Owns(deployment) {
		return &StrangerError{Reason: fmt.Sprintf("run %s belongs to deployment %s, and this is %s: resume it there", run.ID(), deployment, r.Deployment.ID())}
	}
	state, err := r.Ledger.State(ctx, run.ID())
	if errors.Is(err, ErrUnknownRun) {
		return r.Rebuild(ctx, run)
	}
	if err != nil {
		return err
	}
	return r.repair(ctx, state)
}

// Rebuild creates the ledger of a run again from the history: successes that are recorded there stand, the rest is
// planned again. A run that was being cancelled when it was lost is cancelled again.
func (r *Reconciler) Rebuild(ctx context.Context, run Run) error {
	epoch, err := r.Ledger.Rebuild(ctx, run)
	if errors.Is(err, ErrFinished) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rebuild the ledger: %w", err)
	}
	// A hundred thousand outcomes take longer to restore than a heartbeat stays fresh.
	ctx, stop := r.Launcher.keepAlive(ctx, run.ID(), epoch)
	defer stop()
	left, err := r.restorer().restore(ctx, run, epoch)
	if err != nil {
		return err
	}
	if left.total != run.AttemptChunks() {
		return r.abandon(ctx, run, epoch)
	}
	r.Logger.WarnContext(ctx, "ledger lost, run rebuilt from the history",
		"run_id", run.ID(), "attempt", run.Attempt, "chunks", left.total, "done", left.total-len(left.chunks))
	r.count(ctx, run.ID(), RepairRebuilt, 1)
	if left.cancelled {
		if err := r.Ledger.Cancel(ctx, run.ID()); err != nil {
			return fmt.Errorf("cancel the rebuilt run: %w", err)
		}
	}
	return r.Launcher.Continue(ctx, run, epoch, left.chunks)
}

func (r *Reconciler) restorer() restorer { return restorer{ledger: r.Ledger, history: r.History} }

// restorer brings what the history has of a run into the ledger.
type restorer struct {
	ledger interface {
		StorePlan(ctx context.Context, runID uuid.UUID, epoch int64, chunks []Chunk) error
		RestoreOutcomes(ctx context.Context, runID uuid.UUID, epoch int64, attempt int, outcomes []Outcome) error
	}
	history interface {
		SuccessesBefore(ctx context.Context, runID uuid.UUID, attempt int, yield func([]Outcome) error) error
		AttemptChunks(ctx context.Context, runID uuid.UUID, attempt int, yield func([]HistoryChunk) error) error
	}
}

// remainder is what is left to do of an attempt.
type remainder struct {
	chunks    []Chunk
	total     int
	cancelled bool
}

// restore puts the plan and the successes of the attempt, and of those before it, into the ledger, batch by batch.
func (r restorer) restore(ctx context.Context, run Run, epoch int64) (left remainder, err error) {
	if err := r.restoreEarlier(ctx, run, epoch); err != nil {
		return left, err
	}
	err = r.history.AttemptChunks(ctx, run.ID(), run.Attempt, func(batch []HistoryChunk) error {
		return r.restoreBatch(ctx, run, epoch, batch, &left)
	})
	if err != nil {
		return left, fmt.Errorf("restore attempt %d from the history: %w", run.Attempt, err)
	}
	return left, nil
}

// restoreBatch puts the outcomes first: a chunk that has one is never pending.
func (r restorer) restoreBatch(ctx context.Context, run Run, epoch int64, batch []HistoryChunk, left *remainder) error {
	chunks := make([]Chunk, 0, len(batch))
	var done []Outcome
	for _, c := range batch {
		chunks = append(chunks, c.Chunk)
		switch {
		case c.Outcome != nil && c.Outcome.Status == OutcomeSuccess:
			done = append(done, *c.Outcome)
			continue
		case c.Outcome != nil && c.Outcome.Status == OutcomeCancelled:
			left.cancelled = true
		}
		left.chunks = append(left.chunks, c.Chunk)
	}
	left.total += len(batch)
	if err := r.ledger.RestoreOutcomes(ctx, run.ID(), epoch, run.Attempt, done); err != nil {
		return fmt.Errorf("restore outcomes: %w", err)
	}
	return r.ledger.StorePlan(ctx, run.ID(), epoch, chunks)
}

// restoreEarlier puts the successes of earlier attempts where Finish adds them up. The latest attempt before this one
// holds them all: which of them they came from does not matter any more.
func (r restorer) restoreEarlier(ctx context.Context, run Run, epoch int64) error {
	if run.Attempt == 1 {
		return nil
	}
	err := r.history.SuccessesBefore(ctx, run.ID(), run.Attempt, func(outcomes []Outcome) error {
		return r.ledger.RestoreOutcomes(ctx, run.ID(), epoch, run.Attempt-1, outcomes)
	})
	if err != nil {
		return fmt.Errorf("restore the attempts before %d from the history: %w", run.Attempt, err)
	}
	return nil
}

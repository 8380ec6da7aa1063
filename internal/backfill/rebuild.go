package backfill

import (
	"context"
	"errors"
	"fmt"
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

// Rebuild creates the ledger of a run again from the history: outcomes that are recorded there stand, the rest is
// planned again. What succeeded before is not fetched again.
func (r *Reconciler) Rebuild(ctx context.Context, run Run) error {
	epoch, err := r.Ledger.Rebuild(ctx, run)
	if errors.Is(err, ErrFinished) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("rebuild the ledger: %w", err)
	}
	var chunks []Chunk
	var outcomes []Outcome
	err = r.History.AttemptChunks(ctx, run.ID(), run.Attempt, func(batch []HistoryChunk) error {
		for _, c := range batch {
			chunks = append(chunks, c.Chunk)
			if c.Outcome != nil && c.Outcome.Status == OutcomeSuccess {
				outcomes = append(outcomes, *c.Outcome)
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read the plan from the history: %w", err)
	}
	if len(chunks) != run.AttemptChunks() {
		return r.abandon(ctx, run, epoch)
	}
	r.Logger.WarnContext(ctx, "ledger lost, run rebuilt from the history",
		"run_id", run.ID(), "attempt", run.Attempt, "chunks", len(chunks), "done", len(outcomes))
	return r.restore(ctx, run, epoch, chunks, outcomes)
}

func (r *Reconciler) restore(ctx context.Context, run Run, epoch int64, chunks []Chunk, outcomes []Outcome) error {
	// A hundred thousand outcomes take longer to restore than a heartbeat stays fresh.
	ctx, stop := r.Launcher.keepAlive(ctx, run.ID(), epoch)
	defer stop()
	if err := r.Ledger.StorePlan(ctx, run.ID(), epoch, chunks); err != nil {
		return fmt.Errorf("store the plan: %w", err)
	}
	done := make(map[ChunkID]struct{}, len(outcomes))
	for _, o := range outcomes {
		task := Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: o.ChunkID}
		if _, err := r.Ledger.Record(ctx, task, epoch, o); err != nil {
			return fmt.Errorf("restore the outcome of chunk %s: %w", o.ChunkID, err)
		}
		done[o.ChunkID] = struct{}{}
	}
	left := make([]Chunk, 0, len(chunks)-len(done))
	for _, c := range chunks {
		if _, ok := done[c.ID]; !ok {
			left = append(left, c)
		}
	}
	return r.Launcher.Continue(ctx, run, epoch, left)
}

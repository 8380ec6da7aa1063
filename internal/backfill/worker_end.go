package backfill

import (
	"context"
	"errors"
	"fmt"
)

// GivenUpError says that the chunk has failed for good: its outcome is recorded, and its task must not be run again. The
// queue keeps the task with the error for people to see.
type GivenUpError struct{ Cause error }

// Error returns the text of the cause.
func (e *GivenUpError) Error() string { return e.Cause.Error() }

// Unwrap returns the cause.
func (e *GivenUpError) Unwrap() error { return e.Cause }

// unfilled hands the chunk back for another try, or fails it when the policy of its class allows no more.
func (w *Worker) unfilled(ctx context.Context, taken work, outcome Outcome, cause error) error {
	ctx, cancel := afterItsEnd(ctx)
	defer cancel()
	class := ClassOf(cause)
	count, err := w.handBack(ctx, taken, outcome, class)
	if err != nil {
		w.Logger.WarnContext(ctx, "chunk not handed back to the ledger", "run_id", taken.task.RunID, "chunk_id", taken.task.ChunkID, "err", err)
		return cause
	}
	if errors.Is(cause, ErrUnwanted) {
		// Taken up again at once, the chunk is acknowledged, ends as cancelled, or is found in other hands.
		return WithClass(ClassInterrupted, cause)
	}
	limit := policyOf(class).Limit
	switch {
	case limit == 0:
		return cause
	case count < limit:
		w.Logger.InfoContext(ctx, "chunk is tried again", "run_id", taken.task.RunID, "chunk_id", taken.task.ChunkID, "token", taken.chunk.Token.String(),
			"class", class, "tries", count, "of", limit, "err", cause)
		return cause
	}
	return w.fail(ctx, taken, outcome, cause, count)
}

// handBack ends the lease and counts the class. It hands over what this execution spent, without what earlier ones did.
func (w *Worker) handBack(ctx context.Context, taken work, outcome Outcome, class Class) (count int, err error) {
	return w.Ledger.HandBack(ctx, taken.execution(), class, Cost{
		Calls: outcome.Stats.APICalls - taken.admission.Spent.Calls, Credits: outcome.Stats.Credits - taken.admission.Spent.Credits,
	})
}

// fail ends the chunk, which met the class of its cause so many times.
func (w *Worker) fail(ctx context.Context, taken work, outcome Outcome, cause error, count int) error {
	class := ClassOf(cause)
	failed := w.Filler.Unfilled(taken.admission, taken.chunk, OutcomeFailed, class, cause.Error())
	failed.StartedAt = outcome.StartedAt
	failed.Stats.APICalls, failed.Stats.Credits = outcome.Stats.APICalls, outcome.Stats.Credits
	if err := w.end(ctx, taken, failed); err != nil {
		return err
	}
	w.Logger.WarnContext(ctx, "chunk failed", "run_id", taken.task.RunID, "chunk_id", taken.task.ChunkID, "token", taken.chunk.Token.String(),
		"class", class, "tries", count, "err", cause)
	return &GivenUpError{Cause: cause}
}

// end records an outcome without candles, writing its history row first.
func (w *Worker) end(ctx context.Context, taken work, outcome Outcome) error {
	if err := w.History.RecordOutcomes(ctx, taken.admission.Run, []Outcome{outcome}); err != nil {
		outcome.Unrecorded = true
		w.Logger.WarnContext(ctx, "outcome row not written, Finish will write it", "run_id", taken.task.RunID, "chunk_id", taken.task.ChunkID, "err", err)
	}
	return w.record(ctx, taken, outcome)
}

// record puts the outcome into the ledger, and signals the end of the attempt when nothing is pending.
func (w *Worker) record(ctx context.Context, taken work, outcome Outcome) error {
	recorded, err := w.Ledger.Record(ctx, taken.task, taken.admission.Epoch, outcome)
	if errors.Is(err, ErrStale) || errors.Is(err, ErrUnknownRun) {
		// The run was rebuilt or lost meanwhile: the chunk is taken up again under its new epoch.
		return WithClass(ClassStore, fmt.Errorf("record chunk %s: %w", taken.task.ChunkID, err))
	}
	if err != nil {
		return fmt.Errorf("record chunk %s: %w", taken.task.ChunkID, err)
	}
	if recorded.Halted {
		m := &taken.admission.Run.Manifest
		w.Logger.ErrorContext(ctx, "limit of rejected candles or credits passed, the run halts", "run_id", taken.task.RunID,
			"halt_rejection_rate", m.HaltRejectionRate, "max_credits", m.MaxCredits)
	}
	if recorded.Finish {
		w.signal(ctx, taken)
	}
	return nil
}

// signal asks for the end of the attempt.
func (w *Worker) signal(ctx context.Context, taken work) {
	if err := w.Queue.EnqueueFinish(ctx, taken.admission.Run); err != nil {
		w.Logger.WarnContext(ctx, "finish not enqueued, the reconciler will finish the run", "run_id", taken.task.RunID, "err", err)
	}
}

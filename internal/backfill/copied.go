package backfill

import (
	"context"
	"fmt"
	"time"
)

// copiedWhileRunning is the error of a run that a copy of its database has and nobody fills there.
const copiedWhileRunning = "the database was copied while the run was under way: take up what is missing with runs-retry"

// EndCopied ends, in a copy of the database, a run that goes on in the deployment which the copy was made of. What the copy has
// of it counts; the rest is cancelled, and can be retried.
func EndCopied(ctx context.Context, history interface {
	RetryHistory
	FinishHistory
}, run Run, now time.Time) error {
	t := newRunTotals(run, now.UTC())
	missing := run.AttemptChunks()
	err := history.AttemptChunks(ctx, run.ID(), run.Attempt, func(batch []HistoryChunk) error {
		for _, c := range batch {
			if c.Outcome != nil {
				missing--
				t.add(*c.Outcome)
			}
		}
		return nil
	})
	if err == nil && run.Attempt > 1 {
		err = history.SuccessesBefore(ctx, run.ID(), run.Attempt, func(outcomes []Outcome) error {
			for _, o := range outcomes {
				t.add(o)
			}
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("add up run %s: %w", run.ID(), err)
	}
	t.record.TokensProcessed = len(t.tokens)
	t.record.CancelledChunks += missing
	t.record.Status, t.record.ErrorMessage = StatusFailed, copiedWhileRunning
	if err := history.Finished(ctx, t.record); err != nil {
		return fmt.Errorf("end run %s: %w", run.ID(), err)
	}
	return nil
}

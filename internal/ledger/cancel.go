package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
)

// cancelBatch keeps one call of the script within a few milliseconds.
const cancelBatch = 500

// cancelInFlight is how many calls are under way together: encoding here and recording there overlap.
const cancelInFlight = 4

// EndCancelled puts cancelled as the outcome of those of the chunks that have none. Repeating it is harmless. It returns
// ErrStale when the run was rebuilt meanwhile, ErrUnknownRun when the ledger lost it.
func (l *Ledger) EndCancelled(ctx context.Context, runID uuid.UUID, attempt int, epoch int64, outcomes []backfill.Outcome) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(cancelInFlight)
	for batch := range slices.Chunk(outcomes, cancelBatch) {
		if ctx.Err() != nil {
			break // one has failed, and the rest would too
		}
		group.Go(func() error { return l.endCancelledBatch(ctx, runID, attempt, epoch, batch) })
	}
	return group.Wait()
}

func (l *Ledger) endCancelledBatch(ctx context.Context, runID uuid.UUID, attempt int, epoch int64, outcomes []backfill.Outcome) error {
	args := make([]any, 0, 2+2*len(outcomes))
	args = append(args, attempt, formatEpoch(epoch))
	for _, o := range outcomes {
		encoded, err := json.Marshal(o)
		if err != nil {
			return fmt.Errorf("encode outcome of chunk %s: %w", o.ChunkID, err)
		}
		args = append(args, string(o.ChunkID), encoded)
	}
	k := keysOf(runID)
	keys := []string{k.meta(), k.pending(attempt), k.outcome(attempt), k.tries(attempt), k.progress(attempt), k.lease(attempt)}
	_, err := l.run(ctx, endCancelledScript, keys, args...)
	if errors.Is(err, backfill.ErrFinished) {
		return nil // an attempt that is over stays what it is
	}
	return err
}

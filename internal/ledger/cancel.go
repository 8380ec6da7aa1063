package ledger

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// cancelBatch keeps one call of the script within a few milliseconds.
const cancelBatch = 500

// EndCancelled puts cancelled as the outcome of those of the chunks that have none. Repeating it is harmless. ErrStale tells
// that the run was rebuilt meanwhile; ErrUnknownRun that the ledger lost it.
func (l *Ledger) EndCancelled(ctx context.Context, runID uuid.UUID, attempt int, epoch int64, outcomes []backfill.Outcome) error {
	k := keysOf(runID)
	keys := []string{k.meta(), k.pending(attempt), k.outcome(attempt), k.tries(attempt), k.progress(attempt), k.lease(attempt)}
	for batch := range slices.Chunk(outcomes, cancelBatch) {
		args := make([]any, 0, 2+2*len(batch))
		args = append(args, attempt, formatEpoch(epoch))
		for _, o := range batch {
			encoded, err := json.Marshal(o)
			if err != nil {
				return fmt.Errorf("encode outcome of chunk %s: %w", o.ChunkID, err)
			}
			args = append(args, string(o.ChunkID), encoded)
		}
		if _, err := l.run(ctx, endCancelledScript, keys, args...); err != nil {
			return err
		}
	}
	return nil
}

package ledger

import (
	"sync"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// runCacheSize is far above the runs that a worker meets at a time.
const runCacheSize = 64

type attemptKey struct {
	runID   uuid.UUID
	attempt int
}

// runCache keeps the runs that this process works on, so that their manifests need not travel with each chunk. A run
// does not change within an attempt, so nothing in it grows stale.
type runCache struct {
	mu   sync.Mutex
	runs map[attemptKey]backfill.Run
}

func (c *runCache) lookup(runID uuid.UUID, attempt int) (backfill.Run, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	run, ok := c.runs[attemptKey{runID, attempt}]
	return run, ok
}

func (c *runCache) keep(run backfill.Run) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.runs) >= runCacheSize {
		clear(c.runs) // rare, and the next chunk of each run fills it again
	}
	c.runs[attemptKey{run.ID(), run.Attempt}] = run
}

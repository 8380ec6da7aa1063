package ledger

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

// Ledger is the live ledger of runs. It is safe for concurrent use.
//
// The client may send a command again when an answer was lost. Every method bears that: it repeats to the same end, or,
// for the counts of Admit and HandBack, errs by one.
type Ledger struct {
	client redis.UniversalClient
	runs   runCache
	// lockTime is the constant of that name but in tests, which cannot wait so long.
	lockTime time.Duration
}

var (
	_ backfill.LaunchLedger    = (*Ledger)(nil)
	_ backfill.FillLedger      = (*Ledger)(nil)
	_ backfill.FinishLedger    = (*Ledger)(nil)
	_ backfill.ReconcileLedger = (*Ledger)(nil)
)

// New returns a ledger over the client, whose timeouts bound every call. The client stays the caller's to close.
func New(client redis.UniversalClient) *Ledger {
	return &Ledger{client: client, lockTime: lockTime, runs: runCache{runs: make(map[attemptKey]backfill.Run)}}
}

// attemptOf reads which attempt the run is in; ErrUnknownRun when the ledger does not have it.
func (l *Ledger) attemptOf(ctx context.Context, runID uuid.UUID) (int, error) {
	attempt, err := l.client.HGet(ctx, keysOf(runID).meta(), "attempt").Int()
	if errors.Is(err, redis.Nil) {
		return 0, backfill.ErrUnknownRun
	}
	if err != nil {
		return 0, redisError("read the attempt", err)
	}
	return attempt, nil
}

func formatEpoch(epoch int64) string { return strconv.FormatInt(epoch, 10) }

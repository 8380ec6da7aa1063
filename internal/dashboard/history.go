package dashboard

import (
	"context"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// History is what pages read from ClickHouse, and the record of what people did: the sum of the interfaces that they declare.
type History interface {
	runsHistory
	runHistory
	fleetHistory
	actionHistory
	coverageHistory
	tokenHistory
	qualityHistory
	Ping(ctx context.Context) error
}

// Live is what pages read from Redis: the sum of the interfaces that they declare.
type Live interface {
	fleetLive
	// State returns backfill.ErrUnknownRun for a run that Redis does not have.
	State(ctx context.Context, runID uuid.UUID) (backfill.LedgerState, error)
	// Repairs is how often reconcilers did what for the run.
	Repairs(ctx context.Context, runID uuid.UUID) (map[backfill.RepairAction]int64, error)
	Ping(ctx context.Context) error
}

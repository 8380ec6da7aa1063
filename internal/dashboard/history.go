package dashboard

import (
	"context"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
)

// History is what pages read from ClickHouse: the sum of the interfaces that they declare.
type History interface {
	runsHistory
	Ping(ctx context.Context) error
}

// Live is what pages read from Redis: the sum of the interfaces that they declare.
type Live interface {
	State(ctx context.Context, runID uuid.UUID) (backfill.LedgerState, error)
	Ping(ctx context.Context) error
}

var _ History = (*clickhouse.DB)(nil)

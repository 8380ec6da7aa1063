package report

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// RunFilter narrows Runs; a zero field is no condition.
type RunFilter struct {
	Status    backfill.RunStatus
	Since     time.Time // of the run's start, inclusive
	InputHash string
	// Source was asked, first or as a fallback.
	Source string
	// User is who started it, with or without the host.
	User string
	// Labels are names and values that it has, all of them.
	Labels map[string]string
	// Token was planned for it; an empty chain stands for any.
	Token candle.Token
	Limit int // 0 = DefaultRunLimit
}

// DefaultRunLimit is how many runs Runs returns by default.
const DefaultRunLimit = 20

// Runs lists runs, the newest first.
func (db Reader) Runs(ctx context.Context, filter RunFilter) ([]backfill.RunRow, error) {
	limit := filter.Limit
	if limit <= 0 {
		limit = DefaultRunLimit
	}
	names := slices.Sorted(maps.Keys(filter.Labels))
	values := make([]string, len(names))
	for i, name := range names {
		values[i] = filter.Labels[name]
	}
	rows, err := selectStructs[backfill.RunRow](ctx, db, runsSQL,
		named("source", filter.Source), named("user", filter.User), named("label_names", names), named("label_values", values),
		named("chain", string(filter.Token.Chain)), named("address", filter.Token.Address),
		named("status", string(filter.Status)),
		named("input_hash", filter.InputHash),
		named("since", max(filter.Since.UnixMilli(), 0)), // the zero time lies before what the column holds
		named("limit", limit))
	return rows, db.failed("list runs", err)
}

// EndMoment is from when on Served shows all that the run stored; the run must have ended.
func (db Reader) EndMoment(ctx context.Context, runID uuid.UUID) (at time.Time, err error) {
	err = db.rows(ctx, queryTimeout, endMomentSQL, []any{named("run_id", runID)}, func(rows chdriver.Rows) error { return rows.Scan(&at) })
	return at, db.failed(fmt.Sprintf("read when run %s ended", runID), err)
}

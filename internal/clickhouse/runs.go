package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// Unfinished lists the runs whose latest attempt has started and not ended, oldest first.
func (db *DB) Unfinished(ctx context.Context) ([]backfill.Run, error) {
	rows, err := selectStructs[backfill.RunRow](ctx, db, unfinishedSQL)
	if err != nil {
		return nil, db.storeError("list unfinished runs", err)
	}
	runs := make([]backfill.Run, len(rows))
	for i := range rows {
		record, err := rows[i].Record()
		if err != nil {
			return nil, err
		}
		runs[i] = record.Run
	}
	return runs, nil
}

// Run returns the run's latest record, or backfill.ErrUnknownRun.
func (db *DB) Run(ctx context.Context, runID uuid.UUID) (backfill.RunRecord, error) {
	row, err := db.RunDetails(ctx, runID)
	if err != nil {
		return backfill.RunRecord{}, err
	}
	return row.Record()
}

// RunDetails returns the run's row, or backfill.ErrUnknownRun.
func (db *DB) RunDetails(ctx context.Context, runID uuid.UUID) (backfill.RunRow, error) {
	rows, err := selectStructs[backfill.RunRow](ctx, db, runSQL, named("run_id", runID))
	if err != nil {
		return backfill.RunRow{}, db.storeError(fmt.Sprintf("read run %s", runID), err)
	}
	if len(rows) == 0 {
		return backfill.RunRow{}, fmt.Errorf("read run %s: %w", runID, backfill.ErrUnknownRun)
	}
	return rows[0], nil
}

// EndMoment is from when on CandlesAsOf and Served show all that the run stored; the run must have ended.
func (db *DB) EndMoment(ctx context.Context, runID uuid.UUID) (at time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	err = db.conn.QueryRow(ctx, endMomentSQL, named("run_id", runID)).Scan(&at)
	return at, db.storeError(fmt.Sprintf("read when run %s ended", runID), err)
}

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

// DefaultRunLimit is how many runs Runs returns unless told otherwise.
const DefaultRunLimit = 20

// Runs lists runs, the newest first.
func (db *DB) Runs(ctx context.Context, filter RunFilter) ([]backfill.RunRow, error) {
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
	return rows, db.storeError("list runs", err)
}

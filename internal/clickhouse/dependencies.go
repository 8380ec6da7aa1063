package clickhouse

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// RecordDependencies writes down which runs' fetched ranges the run left out, with how many candles.
func (db *DB) RecordDependencies(ctx context.Context, runID uuid.UUID, on map[uuid.UUID]int64) error {
	type row struct {
		DependsOn uuid.UUID `ch:"relied_on_run_id"`
		RunID     uuid.UUID `ch:"run_id"`
		Candles   uint64    `ch:"candles"`
	}
	rows := make([]row, 0, len(on))
	for dependsOn, candles := range on {
		rows = append(rows, row{DependsOn: dependsOn, RunID: runID, Candles: uint64(candles)})
	}
	return db.Failed(fmt.Sprintf("write the dependencies of run %s", runID), insertStructs(ctx, db, insertDependenciesSQL, rows))
}

// dependentsOf are the runs that left ranges out because this run had fetched them, most candles first.
func (db *DB) dependentsOf(ctx context.Context, runID uuid.UUID) ([]backfill.Dependency, error) {
	type row struct {
		RunID   uuid.UUID `ch:"run_id"`
		Candles uint64    `ch:"candles"`
	}
	rows, err := selectStructs[row](ctx, db, dependentsSQL, named("run_id", runID))
	dependents := make([]backfill.Dependency, len(rows))
	for i, r := range rows {
		dependents[i] = backfill.Dependency{RunID: r.RunID, Candles: int64(r.Candles)}
	}
	return dependents, db.Failed(fmt.Sprintf("look up which runs depend on run %s", runID), err)
}

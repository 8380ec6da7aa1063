package clickhouse

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// RecordDependencies writes down on whose answers the run relies.
func (db *DB) RecordDependencies(ctx context.Context, runID uuid.UUID, on map[uuid.UUID]int64) error {
	type row struct {
		ReliedOn uuid.UUID `ch:"relied_on_run_id"`
		RunID    uuid.UUID `ch:"run_id"`
		Candles  uint64    `ch:"candles"`
	}
	rows := make([]row, 0, len(on))
	for reliedOn, candles := range on {
		rows = append(rows, row{ReliedOn: reliedOn, RunID: runID, Candles: uint64(candles)})
	}
	return db.Failed(fmt.Sprintf("write on whom run %s relies", runID), insertStructs(ctx, db, insertReliancesSQL, rows))
}

// relyingOn are the runs that left ranges out because this run had answered for them, most candles first.
func (db *DB) relyingOn(ctx context.Context, runID uuid.UUID) ([]backfill.Dependency, error) {
	type row struct {
		RunID   uuid.UUID `ch:"run_id"`
		Candles uint64    `ch:"candles"`
	}
	rows, err := selectStructs[row](ctx, db, relyingRunsSQL, named("run_id", runID))
	relying := make([]backfill.Dependency, len(rows))
	for i, r := range rows {
		relying[i] = backfill.Dependency{RunID: r.RunID, Candles: int64(r.Candles)}
	}
	return relying, db.Failed(fmt.Sprintf("look up who relies on run %s", runID), err)
}

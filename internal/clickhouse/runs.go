package clickhouse

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Unfinished lists the runs whose latest attempt has started and not ended, oldest first.
func (db *DB) Unfinished(ctx context.Context) ([]backfill.Run, error) {
	rows, err := selectStructs[backfill.RunRow](ctx, db, unfinishedSQL)
	if err != nil {
		return nil, db.Failed("list unfinished runs", err)
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
		return backfill.RunRow{}, db.Failed(fmt.Sprintf("read run %s", runID), err)
	}
	if len(rows) == 0 {
		return backfill.RunRow{}, fmt.Errorf("read run %s: %w", runID, backfill.ErrUnknownRun)
	}
	return rows[0], nil
}

package clickhouse

import (
	"context"
	"fmt"

	"quantbot/internal/backfill"
)

// The phases of an attempt in the lifecycle log; with the attempt they are a row's revision.
const (
	phaseRunning = "running"
	phaseEnded   = "ended"
)

// lifecycleRow is a row of ohlcv_run_lifecycle: the run's row, and what the view makes of the log.
type lifecycleRow struct {
	backfill.RunRow
	Phase string `ch:"phase"`
	// Interval is in seconds in the log, in place of the view's text.
	Interval uint32 `ch:"interval_seconds"`
}

// Started writes that the attempt runs. Written late, it hides neither the attempt's end nor a later attempt.
func (db *DB) Started(ctx context.Context, run backfill.Run) error {
	row, err := newLifecycleRow(backfill.RunRecord{Run: run, Status: backfill.StatusRunning}, phaseRunning)
	if err != nil {
		return err
	}
	err = insertStructs(ctx, db, insertLifecycleSQL, []lifecycleRow{row})
	return db.Failed(fmt.Sprintf("write the start of run %s", run.ID()), err)
}

// Finished writes the attempt's end. Only the first end of an attempt counts.
func (db *DB) Finished(ctx context.Context, record backfill.RunRecord) error {
	if !record.Status.Ended() {
		return fmt.Errorf("write the end of run %s: %q is no end", record.ID(), record.Status)
	}
	row, err := newLifecycleRow(record, phaseEnded)
	if err != nil {
		return err
	}
	err = insertStructs(ctx, db, insertLifecycleSQL, []lifecycleRow{row})
	return db.Failed(fmt.Sprintf("write the end of run %s", record.ID()), err)
}

func newLifecycleRow(record backfill.RunRecord, phase string) (lifecycleRow, error) {
	row, err := backfill.NewRunRow(record)
	row.RangeFrom, row.RangeTo = storableTime(record.Manifest.Range.From), storableTime(record.Manifest.Range.To)
	return lifecycleRow{RunRow: row, Phase: phase, Interval: uint32(record.Manifest.Interval)}, err
}

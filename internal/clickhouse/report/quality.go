package report

import (
	"context"
	"math"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/backfill"
)

// QualityFilter narrows which runs are looked at; a zero field is no condition.
type QualityFilter struct {
	// Since (inclusive) and Until (exclusive) bound the runs' starts.
	Since, Until time.Time
	// Source is what the run asked first.
	Source string
}

func (f QualityFilter) params() []any {
	until := f.Until
	if until.IsZero() {
		until = time.Unix(math.MaxUint32, 0) // the end of the columns of seconds
	}
	return []any{
		named("since", max(f.Since.UnixMilli(), 0)), // the zero time lies before what the column holds
		named("until", max(until.UnixMilli(), 0)),
		named("source", f.Source),
	}
}

// RunSummaries are what runs are examined by, up to limit of them, the newest first.
func (db Reader) RunSummaries(ctx context.Context, f QualityFilter, limit int) ([]backfill.RunSummary, error) {
	var found []backfill.RunSummary
	err := db.rows(ctx, queryTimeout, runSummariesSQL, append(f.params(), named("limit", limit)), func(rows chdriver.Rows) error {
		var r backfill.RunSummary
		var status string
		err := rows.Scan(&r.RunID, &status, &r.StartedAt, &r.Stats.Fetched, &r.Stats.Inserted, &r.Stats.Rejected, &r.Stats.Deduplicated,
			&r.Stats.ZeroVolume, &r.PlannedChunks, &r.FailedChunks, &r.CancelledChunks, &r.ErrorMessage)
		r.Status = backfill.RunStatus(status)
		found = append(found, r)
		return err
	})
	return found, db.failed("read what runs brought", err)
}

// QualityDay adds up the runs that started on a day (UTC) and are not rolled back.
type QualityDay struct {
	Day  time.Time `json:"day" ch:"day"`
	Runs int64     `json:"runs" ch:"runs"`
	// RolledBack counts the runs that are left out.
	RolledBack   int64 `json:"rolled_back_runs" ch:"rolled_back"`
	Failed       int64 `json:"failed_runs" ch:"failed"`
	Chunks       int64 `json:"chunks" ch:"chunks"`
	FailedChunks int64 `json:"failed_chunks" ch:"failed_chunks"`
	Fetched      int64 `json:"candles_fetched" ch:"fetched"`
	Rejected     int64 `json:"candles_rejected" ch:"rejected"`
	Deduplicated int64 `json:"candles_deduplicated" ch:"deduplicated"`
	ZeroVolume   int64 `json:"zero_volume_count" ch:"zero_volume"`
}

// QualityByDay adds runs up per day of their start, oldest first; days without a run are left out.
func (db Reader) QualityByDay(ctx context.Context, f QualityFilter) ([]QualityDay, error) {
	days, err := selectStructs[QualityDay](ctx, db, qualityByDaySQL, f.params()...)
	return days, db.failed("add up what runs brought per day", err)
}

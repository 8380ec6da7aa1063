package report

import (
	"context"
	"time"

	"quantbot/internal/backfill"
)

// RunCounts counts the runs by status. faulty are those among them that ended since a moment, not as failed, but badly:
// see UndeliveredFailures.
func (db Reader) RunCounts(ctx context.Context, since time.Time, rate float64) (counts map[backfill.RunStatus]int64, faulty int64, err error) {
	rows, err := selectStructs[struct {
		Status string `ch:"status"`
		Runs   uint64 `ch:"runs"`
		Faulty uint64 `ch:"faulty"`
	}](ctx, db, runCountsSQL, named("since", since.UnixMilli()), named("rate", rate))
	counts = make(map[backfill.RunStatus]int64, len(rows))
	for _, r := range rows {
		counts[backfill.RunStatus(r.Status)] = int64(r.Runs)
		faulty += int64(r.Faulty)
	}
	return counts, faulty, db.failed("count the runs", err)
}

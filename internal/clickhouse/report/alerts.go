package report

import (
	"context"
	"fmt"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

// EndedAttempt is an attempt that somebody should hear of.
type EndedAttempt struct {
	RunID        uuid.UUID `ch:"run_id"`
	Attempt      uint32    `ch:"attempt"`
	Status       string    `ch:"status"`
	EndedAt      time.Time `ch:"ended_at"`
	ErrorMessage string    `ch:"error_message"`
	Source       string    `ch:"source"`
	StartedBy    string    `ch:"started_by"`
	Failed       int64     `ch:"errors_count"`
	Cancelled    int64     `ch:"cancelled_chunks"`
	Planned      int64     `ch:"planned_chunks"`
	Fetched      int64     `ch:"candles_fetched"`
	Inserted     int64     `ch:"candles_inserted"`
	Rejected     int64     `ch:"candles_rejected"`
	Deduplicated int64     `ch:"candles_deduplicated"`
	Shadowed     *int64    `ch:"candles_shadowed"` // nil = not recorded, as with Skipped
	Skipped      *int64    `ch:"candles_skipped"`
}

// mostUndelivered bounds what is read at a time; the rest comes when these are delivered.
const mostUndelivered = 1_000

// UndeliveredFailures lists, oldest first, the attempts that ended badly since a moment and of which no alert of these kinds was
// delivered. rate is the share of failed chunks, or of rejected candles, from which on an end is bad.
func (db Reader) UndeliveredFailures(ctx context.Context, since time.Time, rate float64, kinds []string) ([]EndedAttempt, error) {
	found, err := selectStructs[EndedAttempt](ctx, db, undeliveredFailuresSQL,
		named("since", since.UnixMilli()), named("rate", rate), named("kinds", kinds), named("limit", mostUndelivered))
	return found, db.failed("list the undelivered failures", err)
}

// LastActivity is when something of an attempt was written last.
type LastActivity struct {
	At time.Time
	// Silence is how long ago that was, by the server's clock.
	Silence time.Duration
	// Ended and Planned count the attempt's chunks.
	Ended, Planned int64
}

// LastActivity returns when the attempt's last outcome was written, or its plan. found is false when the history has neither.
func (db Reader) LastActivity(ctx context.Context, runID uuid.UUID, attempt int) (last LastActivity, found bool, err error) {
	rows, err := selectStructs[struct {
		LastActivity time.Time `ch:"last_activity"`
		Now          time.Time `ch:"now"`
		Ended        uint64    `ch:"ended"`
		Planned      uint64    `ch:"planned"`
	}](ctx, db, lastActivitySQL, named("run_id", runID), named("attempt", attempt))
	if err != nil || len(rows) == 0 || rows[0].Planned == 0 {
		return LastActivity{}, false, db.failed(fmt.Sprintf("read the last activity of run %s", runID), err)
	}
	r := rows[0]
	return LastActivity{At: r.LastActivity.UTC(), Silence: r.Now.Sub(r.LastActivity), Ended: int64(r.Ended), Planned: int64(r.Planned)}, true, nil
}

// Delivered reports whether an event of this kind was delivered.
func (db Reader) Delivered(ctx context.Context, kind string, eventID uuid.UUID) (bool, error) {
	var count uint64
	params := []any{named("kind", kind), named("event_id", eventID)}
	err := db.rows(ctx, queryTimeout, deliveredSQL, params, func(rows chdriver.Rows) error { return rows.Scan(&count) })
	return count > 0, db.failed("look up an alert", err)
}

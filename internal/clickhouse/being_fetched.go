package clickhouse

import (
	"context"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// LiveRun is the latest attempt of a run that is going on.
type LiveRun struct {
	RunID   uuid.UUID `ch:"run_id"`
	Attempt uint32    `ch:"attempt"`
}

// LiveRuns lists the runs that are going on and whose answers would cover what the query is about, the oldest first.
func (db *DB) LiveRuns(ctx context.Context, q CoverageQuery) ([]LiveRun, error) {
	runs, err := selectStructs[LiveRun](ctx, db, liveRunsSQL, append(q.params(), named("interval_name", q.Interval.String()))...)
	return runs, db.storeError("list the runs that are going on", err)
}

// FillBeingFetched adds the chunks of these runs that have no outcome. Tokens other than those of the query may come, too.
func (db *DB) FillBeingFetched(ctx context.Context, q CoverageQuery, runs []LiveRun, being *backfill.BeingFetched) error {
	if len(runs) == 0 {
		return nil
	}
	ids, attempts := make([]uuid.UUID, len(runs)), make([]uint32, len(runs))
	for i, run := range runs {
		ids[i], attempts[i] = run.RunID, run.Attempt
	}
	var chain, address string
	var run uuid.UUID
	var from, to time.Time
	params := append(q.params(), named("runs", ids), named("attempts", attempts))
	err := db.rows(ctx, streamTimeout, beingFetchedSQL, params, func(rows chdriver.Rows) error {
		if err := rows.Scan(&chain, &address, &run, &from, &to); err != nil {
			return err
		}
		being.Add(run, candle.Token{Chain: candle.Chain(chain), Address: address}, candle.Range{From: from.Unix(), To: to.Unix()})
		return nil
	})
	return db.storeError("read what is being fetched", err)
}

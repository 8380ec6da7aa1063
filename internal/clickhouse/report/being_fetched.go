package report

import (
	"context"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// LiveRuns lists the runs that are going on and whose records would cover what the query is about, the oldest first.
func (db Reader) LiveRuns(ctx context.Context, q backfill.CoverageQuery) ([]backfill.LiveRun, error) {
	type row struct {
		RunID   uuid.UUID `ch:"run_id"`
		Attempt uint32    `ch:"attempt"`
	}
	rows, err := selectStructs[row](ctx, db, liveRunsSQL, append(coverageParams(q), named("interval_name", q.Interval.String()))...)
	runs := make([]backfill.LiveRun, len(rows))
	for i, r := range rows {
		runs[i] = backfill.LiveRun{RunID: r.RunID, Attempt: int(r.Attempt)}
	}
	return runs, db.failed("list the runs that are going on", err)
}

// FillBeingFetched adds the chunks of these runs that have no outcome. Tokens other than those of the query may come, too.
func (db Reader) FillBeingFetched(ctx context.Context, q backfill.CoverageQuery, runs []backfill.LiveRun, being *backfill.BeingFetched) error {
	if len(runs) == 0 {
		return nil
	}
	ids, attempts := make([]uuid.UUID, len(runs)), make([]uint32, len(runs))
	for i, run := range runs {
		ids[i], attempts[i] = run.RunID, uint32(run.Attempt)
	}
	var chain, address string
	var run uuid.UUID
	var from, to time.Time
	params := append(coverageParams(q), named("runs", ids), named("attempts", attempts))
	err := db.rows(ctx, streamTimeout, beingFetchedSQL, params, func(rows chdriver.Rows) error {
		if err := rows.Scan(&chain, &address, &run, &from, &to); err != nil {
			return err
		}
		being.Add(run, candle.Token{Chain: candle.Chain(chain), Address: address}, candle.Range{From: from.Unix(), To: to.Unix()})
		return nil
	})
	return db.failed("read what is being fetched", err)
}

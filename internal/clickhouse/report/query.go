package report

import (
	"context"
	"math"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/backfill"
)

// Pool runs queries on one database: clickhouse.DB.
type Pool interface {
	// Select reads the rows of a query into the slice that into points to, by the ch tags of its elements, which $columns in
	// the query stands for.
	Select(ctx context.Context, within time.Duration, into any, query string, params ...any) error
	// Each calls each for every row. An error of each ends the query on the server, too.
	Each(ctx context.Context, within time.Duration, query string, params []any, each func(chdriver.Rows) error) error
	// Failed says which action failed and why, as trouble with our own store; nil stays nil.
	Failed(action string, err error) error
}

// Reader reads reports from one database. It is safe for concurrent use.
type Reader struct{ pool Pool }

// New makes a Reader over a pool.
func New(pool Pool) Reader { return Reader{pool: pool} }

// What a planner asks of earlier runs is read here, too.
var _ backfill.PlanHistory = Reader{}

// Bounds of a query: of one that looks something up, and of one that hands rows on while the server sends them.
const (
	queryTimeout  = 30 * time.Second
	streamTimeout = 15 * time.Minute
)

// selectStructs reads the few rows of a lookup.
func selectStructs[T any](ctx context.Context, db Reader, query string, params ...any) ([]T, error) {
	return selectWithin[T](ctx, db, queryTimeout, query, params...)
}

// selectLong reads the few rows of a query that goes through all candles of a run or a month.
func selectLong[T any](ctx context.Context, db Reader, query string, params ...any) ([]T, error) {
	return selectWithin[T](ctx, db, streamTimeout, query, params...)
}

func selectWithin[T any](ctx context.Context, db Reader, limit time.Duration, query string, params ...any) ([]T, error) {
	found := []T{} // no rows are an empty list in JSON, too
	if err := db.pool.Select(ctx, limit, &found, query, params...); err != nil {
		return nil, err
	}
	return found, nil
}

func (db Reader) rows(ctx context.Context, within time.Duration, query string, params []any, each func(chdriver.Rows) error) error {
	return db.pool.Each(ctx, within, query, params, each)
}

func (db Reader) failed(action string, err error) error { return db.pool.Failed(action, err) }

// named binds a server-side parameter.
func named(name string, value any) any { return driver.Named(name, value) }

// storableTime narrows Unix seconds to what a DateTime column holds, 1970 to 2106.
func storableTime(unix int64) time.Time { return time.Unix(min(max(unix, 0), math.MaxUint32), 0).UTC() }

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
)

// What the heart asks of this package.
var (
	_ backfill.LaunchHistory    = (*DB)(nil)
	_ backfill.FillHistory      = (*DB)(nil)
	_ backfill.FinishHistory    = (*DB)(nil)
	_ backfill.ReconcileHistory = (*DB)(nil)
)

// DB is a pool of connections to one database. It is safe for concurrent use.
type DB struct {
	conn     chdriver.Conn
	options  *driver.Options
	addr     string
	user     string
	database string
	window   time.Duration
	secrets  manifest.Secrets
	log      *slog.Logger

	observeInsert func(rows int) (inserted func(error))
}

// Open connects and checks that the server answers and lets us in. The database itself may still be missing: Migrate
// creates it.
func Open(ctx context.Context, cfg Config, logger *slog.Logger) (*DB, error) {
	options, err := cfg.options()
	if err != nil {
		return nil, err
	}
	conn, err := driver.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open ClickHouse: %w", err)
	}
	db := &DB{
		conn:     conn,
		options:  options,
		addr:     options.Addr[0],
		user:     options.Auth.Username,
		database: options.Auth.Database,
		window:   cfg.RollbackWindow,
		secrets:  cfg.Secrets,
		log:      logger,

		observeInsert: func(int) func(error) { return func(error) {} },
	}
	if err := db.Ping(ctx); err != nil {
		_ = conn.Close() // the ping's error says more
		return nil, err
	}
	return db, nil
}

// Ping checks that the server answers. A missing database is no error.
func (db *DB) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := db.conn.Ping(ctx); err != nil && !isServerCode(err, codeUnknownDatabase) {
		return db.Failed("connect", err)
	}
	return nil
}

// Now is the time by the server's clock.
func (db *DB) Now(ctx context.Context) (now time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	err = db.conn.QueryRow(ctx, serverTimeSQL).Scan(&now)
	return now.UTC(), db.Failed("read the clock of ClickHouse", err)
}

// OnInsert has observe called before each insert of candles, and what it returns after. Set it before the first insert.
func (db *DB) OnInsert(observe func(rows int) (inserted func(error))) { db.observeInsert = observe }

// Close closes all connections.
func (db *DB) Close() error { return db.conn.Close() }

// Database is the name of the database.
func (db *DB) Database() string { return db.database }

// exec runs a statement without a result.
func (db *DB) exec(ctx context.Context, timeout time.Duration, query string, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	return db.conn.Exec(ctx, query, params...)
}

// Each runs a query and calls each for every row, which chooses what it scans the row into. An error of each ends the query
// on the server, too.
func (db *DB) Each(ctx context.Context, within time.Duration, query string, params []any, each func(chdriver.Rows) error) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	rows, err := db.conn.Query(ctx, query, params...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows); err != nil {
			cancel() // or Close reads all that is left
			return err
		}
	}
	return rows.Err()
}

// Select reads the rows of a query into the slice that into points to, by the ch tags of its elements, which $columns in the
// query stands for.
func (db *DB) Select(ctx context.Context, within time.Duration, into any, query string, params ...any) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	row := reflect.TypeOf(into).Elem().Elem()
	return db.conn.Select(ctx, into, withColumnsOf(row, query), params...)
}

// selectStructs reads the few rows of a lookup.
func selectStructs[T any](ctx context.Context, db *DB, query string, params ...any) ([]T, error) {
	return selectWithin[T](ctx, db, queryTimeout, query, params...)
}

// selectLong reads the few rows of a query that goes through all candles of a run or a month.
func selectLong[T any](ctx context.Context, db *DB, query string, params ...any) ([]T, error) {
	return selectWithin[T](ctx, db, streamTimeout, query, params...)
}

func selectWithin[T any](ctx context.Context, db *DB, limit time.Duration, query string, params ...any) ([]T, error) {
	found := []T{} // no rows are an empty list in JSON, too
	if err := db.Select(ctx, limit, &found, query, params...); err != nil {
		return nil, err
	}
	return found, nil
}

// named binds a server-side parameter.
func named(name string, value any) any { return driver.Named(name, value) }

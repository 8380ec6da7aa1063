package clickhouse

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"path"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// versionTable remembers which migrations are applied. Its name keeps it beside the tables that it speaks of.
const versionTable = "ohlcv_schema_versions"

// Migrate creates the database if it is missing, applies the migrations that are not applied yet, and returns the names
// of those that this call applied. With nothing to do it takes about 10 ms.
//
// Two processes that start at once apply the same migrations side by side, because ClickHouse has no lock that would
// keep them apart. That is why every migration can be applied twice; the table of versions may then hold a version
// twice, which does not matter.
func (db *DB) Migrate(ctx context.Context) (applied []string, err error) {
	ctx, cancel := context.WithTimeout(ctx, migrateTimeout)
	defer cancel()
	applied, err = db.migrate(ctx)
	return applied, db.Failed("migrate", err)
}

func (db *DB) migrate(ctx context.Context) (applied []string, err error) {
	if err := db.createDatabase(ctx); err != nil {
		return nil, err
	}
	provider, err := db.migrations()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, provider.Close()) }()
	results, err := provider.Up(ctx)
	if partial, ok := errors.AsType[*goose.PartialError](err); ok {
		results = partial.Applied
	}
	for _, result := range results {
		applied = append(applied, path.Base(result.Source.Path))
	}
	return applied, err
}

// createDatabase creates the database unless it is there.
func (db *DB) createDatabase(ctx context.Context) error {
	if exists, err := db.databaseExists(ctx); err != nil || exists {
		return err
	}
	return db.outside(func(conn chdriver.Conn) error {
		return conn.Exec(ctx, createDatabaseSQL, named("database", db.database))
	})
}

func (db *DB) databaseExists(ctx context.Context) (exists bool, err error) {
	err = db.outside(func(conn chdriver.Conn) error {
		return conn.QueryRow(ctx, databaseExistsSQL, named("database", db.database)).Scan(&exists)
	})
	return exists, err
}

// outside connects without a database, because ours may not be there to connect to.
func (db *DB) outside(do func(chdriver.Conn) error) error {
	options := *db.options
	options.Auth.Database = ""
	options.MaxOpenConns, options.MaxIdleConns = 1, 1
	conn, err := driver.Open(&options)
	if err != nil {
		return err
	}
	return errors.Join(do(conn), conn.Close())
}

// migrations opens goose on a connection of its own; closing the provider closes it.
func (db *DB) migrations() (*goose.Provider, error) {
	files, err := fs.Sub(migrationFiles, "migrations")
	if err != nil {
		return nil, err
	}
	store, err := database.NewStore(database.DialectClickHouse, versionTable)
	if err != nil {
		return nil, err
	}
	options := *db.options
	options.MaxOpenConns, options.MaxIdleConns = 0, 0 // database/sql has the pool
	return goose.NewProvider(goose.DialectCustom, driver.OpenDB(&options), files,
		goose.WithStore(store), goose.WithDisableGlobalRegistry(true))
}

// Migration is one migration and whether it is applied.
type Migration struct {
	Name      string    `json:"name"`
	Applied   bool      `json:"applied"`
	AppliedAt time.Time `json:"applied_at"` // zero unless applied
}

// MigrationStatus lists the migrations that this program knows, in order. It changes nothing.
func (db *DB) MigrationStatus(ctx context.Context) ([]Migration, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	provider, err := db.migrations()
	if err != nil {
		return nil, db.Failed("read the state of migrations", err)
	}
	defer provider.Close()
	applied, err := db.appliedMigrations(ctx)
	if err != nil {
		return nil, db.Failed("read the state of migrations", err)
	}
	migrations := make([]Migration, 0, len(provider.ListSources()))
	for _, source := range provider.ListSources() {
		at, known := applied[source.Version]
		migrations = append(migrations, Migration{Name: path.Base(source.Path), Applied: known, AppliedAt: at})
	}
	return migrations, nil
}

// appliedMigrations returns when each version was applied. It is one query, where goose asks once for each version.
func (db *DB) appliedMigrations(ctx context.Context) (map[int64]time.Time, error) {
	if exists, err := db.versionTableExists(ctx); err != nil || !exists {
		return nil, err
	}
	applied := make(map[int64]time.Time)
	err := db.Each(ctx, queryTimeout, appliedMigrationsSQL, nil, func(rows chdriver.Rows) error {
		var version int64
		var at time.Time
		err := rows.Scan(&version, &at)
		applied[version] = at
		return err
	})
	return applied, err
}

// versionTableExists asks before goose would create the table.
func (db *DB) versionTableExists(ctx context.Context) (exists bool, err error) {
	err = db.conn.QueryRow(ctx, tableExistsSQL, named("database", db.database), named("table", versionTable)).Scan(&exists)
	if isServerCode(err, codeUnknownDatabase) {
		return false, nil
	}
	return exists, err
}

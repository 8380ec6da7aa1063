package clickhouse

import (
	"context"
	"io/fs"
	"testing"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

func migrationNames(t *testing.T) []string {
	t.Helper()
	names, err := fs.Glob(migrationFiles, "migrations/*.sql")
	require.NoError(t, err)
	for i := range names {
		names[i] = names[i][len("migrations/"):]
	}
	return names
}

func TestMigrateAppliesEverythingOnce(t *testing.T) {
	t.Parallel()
	db, _ := openConfig(t, newConfig(t))

	before, err := db.MigrationStatus(t.Context())
	require.NoError(t, err)
	require.Len(t, before, len(migrationNames(t)))
	require.False(t, before[0].Applied)

	applied, err := db.Migrate(t.Context())
	require.NoError(t, err)
	require.Equal(t, migrationNames(t), applied)

	again, err := db.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, again)

	after, err := db.MigrationStatus(t.Context())
	require.NoError(t, err)
	for _, m := range after {
		require.True(t, m.Applied, m.Name)
		require.False(t, m.AppliedAt.IsZero(), m.Name)
	}
}

func TestMigrationStatusChangesNothing(t *testing.T) {
	t.Parallel()
	db, _ := openConfig(t, newConfig(t))
	require.NoError(t, db.createDatabase(t.Context()))
	_, err := db.MigrationStatus(t.Context())
	require.NoError(t, err)
	require.Zero(t, scalar[uint64](t, db, "SELECT count() FROM system.tables WHERE database = currentDatabase()"))
}

// Several processes start at once on a fresh database.
func TestMigrateConcurrently(t *testing.T) {
	t.Parallel()
	cfg := newConfig(t)
	group, ctx := errgroup.WithContext(t.Context())
	for range 4 {
		db, _ := openConfig(t, cfg)
		group.Go(func() error {
			_, err := db.Migrate(ctx)
			return err
		})
	}
	require.NoError(t, group.Wait())

	db, _ := openConfig(t, cfg)
	applied, err := db.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, applied)
	mustWrite(t, db, newWrite(newRun(0), minutes(1, 1)))
	require.Len(t, served(t, db), 1)
}

// An interrupted migration leaves objects without a version: applying it again must work.
func TestMigrateAgainWithoutVersions(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	mustWrite(t, db, newWrite(newRun(0), minutes(3, 1)))
	mustExec(t, db, "DROP TABLE "+versionTable)
	applied, err := db.Migrate(t.Context())
	require.NoError(t, err)
	require.Equal(t, migrationNames(t), applied)
	require.Len(t, served(t, db), 3)
}

func BenchmarkMigrateNothing(b *testing.B) {
	db, _ := openMigrated(b)
	for b.Loop() {
		if _, err := db.Migrate(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// While workers are exchanged one by one, an older program reads tables that a newer one has extended.
func TestColumnsOfANewerProgramAreIgnored(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	require.NoError(t, db.Started(t.Context(), run))
	mustExec(t, db, "ALTER TABLE ohlcv_ingestion_tasks ADD COLUMN later UInt8 DEFAULT 1")
	mustExec(t, db, "RENAME TABLE ohlcv_ingestion_runs TO runs_of_today")
	mustExec(t, db, "CREATE VIEW ohlcv_ingestion_runs AS SELECT 1 AS earlier, *, 2 AS later FROM runs_of_today")
	mustWrite(t, db, newWrite(run, minutes(2, 1)))

	runs, err := report.New(db).Runs(t.Context(), report.RunFilter{})
	require.NoError(t, err)
	require.Len(t, runs, 1)
	unfinished, err := db.Unfinished(t.Context())
	require.NoError(t, err)
	require.Len(t, unfinished, 1)
	require.Equal(t, run.Manifest.Priority, unfinished[0].Manifest.Priority)
	record, err := db.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, run.ID(), record.ID())
	tasks, err := report.New(db).Tasks(t.Context(), run.ID(), report.TaskFilter{}, 10)
	require.NoError(t, err)
	require.Len(t, tasks, 1)
	_, found, err := db.Success(t.Context(), backfill.Task{RunID: run.ID(), Attempt: 1, ChunkID: tasks[0].Chunk.ID})
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, db.SuccessesBefore(t.Context(), run.ID(), 2, func(o []backfill.Outcome) error { require.Len(t, o, 1); return nil }))
	require.NoError(t, db.AttemptChunks(t.Context(), run.ID(), 1, func(c []backfill.HistoryChunk) error { require.Len(t, c, 1); return nil }))
	total, err := db.Unsuccessful(t.Context(), run.ID(), func([]backfill.Chunk) error { return nil })
	require.NoError(t, err)
	require.Equal(t, 1, total)
}

// A database that a test gets as a copy is what migrations make: the same tables, views and columns, all migrations applied.
func TestACopyIsWhatMigrationsMake(t *testing.T) {
	t.Parallel()
	whole, _ := openConfig(t, newConfig(t))
	_, err := whole.Migrate(t.Context())
	require.NoError(t, err)
	copied, _ := openMigrated(t)
	describe := func(db *DB, query string) (lines []string) {
		err := db.Each(t.Context(), queryTimeout, query, nil, func(rows chdriver.Rows) error {
			var line string
			err := rows.Scan(&line)
			lines = append(lines, line)
			return err
		})
		require.NoError(t, err)
		require.Greater(t, len(lines), 10, query)
		return lines
	}
	for _, query := range []string{
		"SELECT toString(tuple(name, engine, ifNull(total_rows, 0))) FROM system.tables WHERE database = currentDatabase() AND name != 'ohlcv_schema_versions' ORDER BY name",
		"SELECT replaceAll(create_table_query, currentDatabase(), '') FROM system.tables WHERE database = currentDatabase() ORDER BY name",
		"SELECT toString(tuple(table, name, type, default_expression, comment, compression_codec, position)) FROM system.columns WHERE database = currentDatabase() ORDER BY table, position",
		"SELECT DISTINCT toString(tuple(version_id, is_applied)) FROM ohlcv_schema_versions ORDER BY version_id",
	} {
		require.Equal(t, describe(whole, query), describe(copied, query))
	}
	require.NotEqual(t, deploymentID(t, whole), deploymentID(t, copied))
	applied, err := copied.Migrate(t.Context())
	require.NoError(t, err)
	require.Empty(t, applied)
}

// deploymentID is that of a database that was just made: the id of the table itself.
func deploymentID(t *testing.T, db *DB) uuid.UUID {
	t.Helper()
	id := scalar[uuid.UUID](t, db, "SELECT deployment_id FROM ohlcv_deployments SETTINGS limit = 0, offset = 0")
	require.Equal(t, scalar[uuid.UUID](t, db, "SELECT uuid FROM system.tables WHERE database = currentDatabase() AND name = 'ohlcv_deployments' SETTINGS limit = 0, offset = 0"), id)
	return id
}

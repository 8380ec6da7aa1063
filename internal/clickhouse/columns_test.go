package clickhouse

import (
	"reflect"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

// columnsOfTable lists the columns of a table or view of the test's database.
func columnsOfTable(t *testing.T, db *DB, table string) []string {
	t.Helper()
	type column struct {
		Name string `ch:"name"`
	}
	found, err := selectStructs[column](t.Context(), db,
		"SELECT name FROM system.columns WHERE database = currentDatabase() AND table = {table:String} ORDER BY position", named("table", table))
	require.NoError(t, err)
	names := make([]string, len(found))
	for i, c := range found {
		names[i] = c.Name
	}
	return names
}

// Each column of the log is written, but for recorded_at, which is the server's.
func TestLifecycleRowsHaveTheLogsColumns(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	require.ElementsMatch(t, columnsOfTable(t, db, "ohlcv_run_lifecycle"), append(columnsOf(reflect.TypeFor[lifecycleRow]()), "recorded_at"),
		"the table ohlcv_run_lifecycle and lifecycleRow")
}

// What pages list of a run are columns of the run's row, called alike.
func TestListedRunsHaveColumnsOfTheRunsRow(t *testing.T) {
	t.Parallel()
	for _, narrow := range []reflect.Type{reflect.TypeFor[report.RunListItem](), reflect.TypeFor[report.RunningRun]()} {
		require.Subset(t, columnsOf(reflect.TypeFor[backfill.RunRow]()), columnsOf(narrow), narrow.Name())
		for i := range narrow.NumField() {
			require.Equal(t, narrow.Field(i).Tag.Get("ch"), narrow.Field(i).Tag.Get("json"), "%s.%s", narrow.Name(), narrow.Field(i).Name)
		}
	}
}

func TestWithColumns(t *testing.T) {
	t.Parallel()
	type inner struct {
		A int    `ch:"a"`
		B string `ch:"b"`
		C int    // not a column
	}
	type outer struct {
		inner
		B uint32 `ch:"b_seconds"` // hides inner's
		D int    `ch:"d"`
	}
	require.Equal(t, "SELECT a, b FROM t", withColumns[inner]("SELECT $columns FROM t"))
	require.Equal(t, []string{"a", "b_seconds", "d"}, columnsOf(reflect.TypeFor[outer]()))
	require.Equal(t, "SELECT 1", withColumns[struct{}]("SELECT 1"))
}

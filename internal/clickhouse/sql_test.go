package clickhouse

import (
	"context"
	"errors"
	"reflect"
	"testing"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"
)

// ask runs a statement and returns its whole result.
func ask(t *testing.T, db *DB, statement string, write bool) (columns []ResultColumn, rows [][]any, err error) {
	t.Helper()
	err = db.SQL(t.Context(), statement, write, ResultReader{
		Columns: func(c []ResultColumn) error { columns = c; return nil },
		Row:     func(row []any) error { rows = append(rows, append([]any(nil), row...)); return nil },
	})
	return columns, rows, err
}

func TestSQLGivesPlainValues(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	columns, rows, err := ask(t, db, `SELECT toUInt8(1) AS a, toInt64(-2) AS b, 0.5 AS c, toFloat32(0.25) AS d, 'x' AS e, toLowCardinality('y') AS f, true AS g,
		toDateTime('2025-01-02 03:04:05', 'UTC') AS h, toDateTime64('2025-01-02 05:04:05.5', 3, 'Europe/Athens') AS i,
		toUUID('0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f') AS j, toDecimal64(1.25, 2) AS k, toNullable(NULL) AS l, toNullable(7) AS m, [1, 2] AS n,
		map('p', 1) AS o, toInt128('-170141183460469231731687303715884105728') AS p, toDate('2025-01-02') AS q, CAST('r', 'Enum8(\'r\' = 1)') AS r
		FROM numbers(2)`, false)
	require.NoError(t, err)
	require.Len(t, rows, 2)
	at := time.Date(2025, 1, 2, 3, 4, 5, 0, time.UTC)
	require.Equal(t, []any{
		uint64(1), int64(-2), 0.5, 0.25, "x", "y", true, at, at.Add(500 * time.Millisecond), "0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f", "1.25", nil, uint64(7),
		[]uint8{1, 2}, map[string]uint8{"p": 1}, "-170141183460469231731687303715884105728", at.Truncate(24 * time.Hour), "r",
	}, rows[0])
	for i, column := range columns {
		if value := rows[1][i]; value != nil {
			require.Equal(t, reflect.TypeOf(value), column.Type, column.Name)
		}
	}
}

func TestSQLWritesOnlyWithWrite(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	for _, statement := range []string{
		"CREATE TABLE notes (note String) ENGINE = MergeTree ORDER BY note", "DROP TABLE ohlcv_candle_versions", "SYSTEM FLUSH LOGS",
		"INSERT INTO ohlcv_alerts SELECT * FROM ohlcv_alerts", "SET readonly = 0",
	} {
		_, _, err := ask(t, db, statement, false)
		require.ErrorIs(t, err, ErrWouldWrite, statement)
	}
	for _, statement := range []string{
		"CREATE TABLE notes (note String) ENGINE = MergeTree ORDER BY note", "INSERT INTO notes VALUES ('it''s'), ('b')", "INSERT INTO notes SELECT 'c'",
	} {
		columns, rows, err := ask(t, db, statement, true)
		require.NoError(t, err, statement)
		require.Empty(t, columns)
		require.Empty(t, rows)
	}
	_, rows, err := ask(t, db, "SELECT note FROM notes ORDER BY note", false)
	require.NoError(t, err)
	require.Equal(t, [][]any{{"b"}, {"c"}, {"it's"}}, rows)
}

func TestSQLSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	_, _, err := ask(t, db, "SELECT nothing FROM ohlcv_candles", false)
	require.ErrorContains(t, err, "nothing")
	require.NotErrorIs(t, err, ErrNoDatabase)
	_, _, err = ask(t, db, "SELECT * FROM nowhere", false)
	require.ErrorContains(t, err, "nowhere")
	require.NotErrorIs(t, err, ErrNoDatabase, "a table of the user's is not one of ours")
	_, _, err = ask(t, db, "SELECT number, throwIf(number > 100000) FROM numbers(1000000) SETTINGS max_block_size = 1000", false)
	require.Error(t, err, "in the middle of a result")
	require.NotErrorIs(t, err, ErrMomentGone)

	enough := errors.New("enough")
	err = db.SQL(t.Context(), "SELECT number FROM numbers(10000000)", false, ResultReader{
		Columns: func([]ResultColumn) error { return nil }, Row: func([]any) error { return enough },
	})
	require.Equal(t, enough, err)
	require.NoError(t, db.Ping(t.Context()))
}

// Whoever has enough of a result does not wait for the rest of it, which may be endless.
func TestAResultThatIsLeftEndsItsQuery(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	enough := errors.New("enough")
	const endless = "SELECT number FROM system.numbers"
	err := db.SQL(ctx, endless, false, ResultReader{Columns: func([]ResultColumn) error { return nil }, Row: func([]any) error { return enough }})
	require.Equal(t, enough, err)
	require.NoError(t, ctx.Err())
	err = db.Each(ctx, streamTimeout, endless, nil, func(chdriver.Rows) error { return enough })
	require.Equal(t, enough, err)
	require.NoError(t, ctx.Err())
	require.NoError(t, db.Ping(t.Context()))
}

package worklist

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// A path is a path: nothing in it is a setting, an escape or the name of a service.
func TestEveryNameOfAFileIsOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	calls := []Call{{candle.Token{Chain: candle.Solana, Address: mintA}, day}}
	for _, name := range []string{
		"calls?v2.duckdb", "my calls 100%.duckdb", "a#b.duckdb", `it's "hi".duckdb`, "s3:calls.duckdb", "memory.duckdb", "币安", "c?access_mode=read_write",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, WriteSample(t.Context(), path, calls), name)
		before, err := os.ReadFile(path)
		require.NoError(t, err, "the file has the name that was asked for")
		list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all})
		require.NoError(t, err, name)
		require.Equal(t, calls, list.Calls, name)
		_, err = ReadCalls(t.Context(), CallsOptions{Path: path, Range: all, Query: "DELETE FROM caller_links_d"})
		require.ErrorContains(t, err, "read-only", name)
		after, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, before, after, name)
	}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 8, "no other file has come into being")
}

func TestNamesAreComparedAsDuckDBDoes(t *testing.T) {
	t.Parallel()
	call := func(list List, err error) {
		t.Helper()
		require.NoError(t, err)
		require.Equal(t, []Call{{candle.Token{Chain: candle.Solana, Address: mintA}, day}}, list.Calls)
	}
	upper := database(t, `CREATE TABLE "CALLER_LINKS_D" ("MINT" VARCHAR, "CHAIN" VARCHAR, "TRIGGER_TS_MS" BIGINT, "SIDE" VARCHAR)`,
		fmt.Sprintf("INSERT INTO caller_links_d VALUES ('%s', 'solana', %d, 'BUY'), ('%s', 'SOLANA', %d, 'sell')", mintA, day, mintB, day))
	call(ReadCalls(t.Context(), CallsOptions{Path: upper, Range: all, Side: "buy"}))
	canon := database(t, `CREATE SCHEMA "CANON"`, `CREATE TABLE "CANON"."Alerts_Std" (Mint VARCHAR, Chain VARCHAR, Alert_Ts_Ms BIGINT)`,
		fmt.Sprintf("INSERT INTO canon.alerts_std VALUES ('%s', 'Solana', %d)", mintA, day))
	call(ReadCalls(t.Context(), CallsOptions{Path: canon, Range: all}))
	own := database(t, "CREATE TABLE calls (Mint VARCHAR, Chain VARCHAR, TS_MS BIGINT)", fmt.Sprintf("INSERT INTO calls VALUES ('%s', 'SOL', %d)", mintA, day))
	call(ReadCalls(t.Context(), CallsOptions{Path: own, Range: all, Query: "SELECT Mint, Chain, TS_MS FROM calls"}))
	call(ReadCalls(t.Context(), CallsOptions{Path: own, Range: all, Query: "SELECT * FROM calls.main.calls"}))
}

func TestTimesInOtherUnitsAreSkippedAndNamed(t *testing.T) {
	t.Parallel()
	path := database(t, "CREATE TABLE caller_links_d (mint VARCHAR, chain VARCHAR, trigger_ts_ms HUGEINT)",
		fmt.Sprintf(`INSERT INTO caller_links_d VALUES ('%[1]s', 'solana', 1735776000000), ('%[1]s', 'solana', 1735776060), ('%[1]s', 'solana', 1735776060000000),
			('%[1]s', 'solana', 1735776060000000000), ('%[1]s', 'solana', 0), ('%[1]s', 'solana', -1), ('%[1]s', 'solana', 20250102), ('%[1]s', 'solana', 99999999999999999999)`, mintA))
	list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: candle.Range{From: 1735776000, To: 1735776001}})
	require.NoError(t, err)
	require.Len(t, list.Calls, 1)
	require.Equal(t, 7, list.SkippedTotal)
	var reasons []string
	for _, s := range list.Skipped {
		reasons = append(reasons, s.Where+": "+s.Reason)
	}
	require.Equal(t, []string{
		"row 2: time of the call (1735776060) looks like seconds, not milliseconds",
		"row 3: time of the call (1735776060000000) looks like microseconds, not milliseconds",
		"row 4: time of the call (1735776060000000000) looks like nanoseconds, not milliseconds",
		"row 5: time of the call (0) is not between 2009 and 2100 in milliseconds",
		"row 6: time of the call (-1) is not between 2009 and 2100 in milliseconds",
		"row 7: time of the call (20250102) is not between 2009 and 2100 in milliseconds",
		"row 8: time of the call missing or no number",
	}, reasons)
}

// leftOpen copies a file and its WAL while it is open for writing, as a killed process leaves them.
func leftOpen(t *testing.T, statements ...string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "left.duckdb")
	db, err := sql.Open("duckdb", path)
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Close()) }()
	db.SetMaxOpenConns(1)
	for _, s := range append([]string{"SET wal_autocheckpoint='1TB'"}, statements...) {
		_, err := db.Exec(s)
		require.NoError(t, err, s)
	}
	left := filepath.Join(t.TempDir(), "left.duckdb")
	for _, suffix := range []string{"", ".wal"} {
		content, err := os.ReadFile(path + suffix)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(left+suffix, content, 0o600))
	}
	return left
}

func TestAFileThatWasNotClosedIsReadOrSaysWhatToDo(t *testing.T) {
	t.Parallel()
	table := "CREATE TABLE caller_links_d (mint VARCHAR, chain VARCHAR, trigger_ts_ms BIGINT)"
	row := fmt.Sprintf("INSERT INTO caller_links_d VALUES ('%s', 'solana', %d)", mintA, day)
	list, err := ReadCalls(t.Context(), CallsOptions{Path: leftOpen(t, table, row), Range: all})
	require.NoError(t, err)
	require.Len(t, list.Calls, 1)
	indexed := leftOpen(t, table, row, "CREATE INDEX idx_mint ON caller_links_d(mint)")
	damaged := leftOpen(t, table, row)
	wal, err := os.ReadFile(damaged + ".wal")
	require.NoError(t, err)
	wal[len(wal)/2] ^= 0xff
	require.NoError(t, os.WriteFile(damaged+".wal", wal, 0o600))
	for _, path := range []string{indexed, damaged} {
		_, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all})
		require.ErrorIs(t, err, ErrInput)
		require.ErrorContains(t, err, "left.duckdb was not closed by the program that wrote it, and the changes in left.duckdb.wal cannot be taken in by reading only")
		require.ErrorContains(t, err, "open it once for writing")
		require.NotContains(t, err.Error(), "\n")
	}
}

// ofVersion rewrites the storage version in a file's header, and the header's checksum as DuckDB reckons it.
func ofVersion(t *testing.T, version byte) (path string) {
	t.Helper()
	path = database(t, "CREATE TABLE t (a INTEGER)")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	header := content[:4096]
	checksum := func() uint64 {
		sum := uint64(5381)
		for at := 8; at < len(header); at += 8 {
			sum ^= binary.LittleEndian.Uint64(header[at:]) * 0xbf58476d1ce4e5b9
		}
		return sum
	}
	require.Equal(t, binary.LittleEndian.Uint64(header), checksum())
	header[12] = version
	binary.LittleEndian.PutUint64(header, checksum())
	require.NoError(t, os.WriteFile(path, content, 0o600))
	return path
}

func TestFilesThatCannotBeOpenedSayWhatToDo(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	empty := filepath.Join(t.TempDir(), "empty")
	require.NoError(t, os.WriteFile(empty, nil, 0o600))
	damaged := database(t, "CREATE TABLE t (a INTEGER)")
	content, err := os.ReadFile(damaged)
	require.NoError(t, err)
	content[20] ^= 0xff
	require.NoError(t, os.WriteFile(damaged, content, 0o600))
	for name, test := range map[string]struct{ path, want string }{
		"newer":   {ofVersion(t, 200), "was written by a newer DuckDB than this program has"},
		"ancient": {ofVersion(t, 20), "was written by a DuckDB before 0.10"},
		"damaged": {damaged, "is damaged"},
		"empty":   {empty, "is no DuckDB file"},
		"pipe":    {pipe, "is a pipe or a device"},
		"device":  {"/dev/null", "is a pipe or a device"},
	} {
		_, err := ReadCalls(t.Context(), CallsOptions{Path: test.path, Range: all})
		require.ErrorIs(t, err, ErrInput, name)
		require.ErrorContains(t, err, test.path+" "+test.want)
		require.NotContains(t, err.Error(), "\n")
	}
}

func TestColumnsOfWrongTypesAreRefusedInOneSentence(t *testing.T) {
	t.Parallel()
	path := database(t)
	for columns, want := range map[string]string{
		"['a'] AS mint, 'sol' AS chain, 1 AS ts_ms":                           "gives mint as VARCHAR[] instead of text",
		"{'a': 1} AS mint, 'sol' AS chain, 1 AS ts_ms":                        "gives mint as STRUCT",
		"uuid() AS mint, 'sol' AS chain, 1 AS ts_ms":                          "gives mint as UUID instead of text",
		"'a'::BLOB AS mint, 'sol' AS chain, 1 AS ts_ms":                       "gives mint as BLOB instead of text",
		"'a' AS mint, 8453 AS chain, 1 AS ts_ms":                              "gives chain as INTEGER instead of text",
		"'a' AS mint, 'sol' AS chain, '1735776000000' AS ts_ms":               "gives ts_ms as VARCHAR instead of Unix milliseconds or a TIMESTAMP",
		"'a' AS mint, 'sol' AS chain, [1735776000000] AS ts_ms":               "gives ts_ms as BIGINT[]",
		"'a' AS mint, 'sol' AS chain, [TIMESTAMP '2025-01-01'] AS ts_ms":      "gives ts_ms as TIMESTAMP[]",
		"'a' AS mint, 'sol' AS chain, INTERVAL 1 DAY AS ts_ms":                "gives ts_ms as INTERVAL",
		"'a' AS mint, 'sol' AS chain, true AS ts_ms":                          "gives ts_ms as BOOLEAN",
		"'a' AS mint, 'sol' AS chain, TIME '10:00:00' AS ts_ms":               "gives ts_ms as TIME",
		"'a' AS mint, 'b' AS Mint, 'sol' AS chain, 1735776000000::INT8 ts_ms": "gives two columns mint",
	} {
		_, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all, Query: "SELECT " + columns})
		require.ErrorIs(t, err, ErrInput, columns)
		require.ErrorContains(t, err, want)
		require.NotContains(t, err.Error(), "\n")
	}
	for columns, reason := range map[string]string{
		"NULL::VARCHAR AS mint, 'sol' AS chain, 1735776000000 AS ts_ms":               "mint missing",
		"'a' AS mint, NULL::VARCHAR AS chain, 1735776000000 AS ts_ms":                 "unknown chain",
		"'a' AS mint, 'sol' AS chain, NULL AS ts_ms":                                  "missing or no number",
		"'a' AS mint, 'sol' AS chain, 'nan'::DOUBLE AS ts_ms":                         "missing or no number",
		"'a' AS mint, 'sol' AS chain, 'inf'::DOUBLE AS ts_ms":                         "missing or no number",
		"'a' AS mint, 'sol' AS chain, 'infinity'::TIMESTAMP AS ts_ms":                 "not between 2009 and 2100",
		"'a' AS mint, 'sol' AS chain, DATE '1970-01-02' AS ts_ms":                     "not between 2009 and 2100",
		"'a'::ENUM('a') AS mint, 'sol' AS chain, 1735776000000 AS ts_ms, [1] AS more": "no Solana mint",
	} {
		list, err := ReadCalls(t.Context(), CallsOptions{Path: path, Range: all, Query: "SELECT " + columns})
		require.NoError(t, err, columns)
		require.Empty(t, list.Calls)
		require.Equal(t, 1, list.SkippedTotal, columns)
		require.Contains(t, list.Skipped[0].Reason, reason)
	}
}

func TestAnEndlessQueryHeedsItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := ReadCalls(ctx, CallsOptions{Path: database(t), Range: all, Query: "SELECT 'a' AS mint, 'b' AS chain, sum(hash(range)) AS ts_ms FROM range(1000000000000)"})
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

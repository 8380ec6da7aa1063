package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func TestStatementsEndWhereALineDoes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"SELECT ';'", "SELECT\n 2", "SELECT 3"}, splitStatements("SELECT ';' ;\r\n\nSELECT\n 2;\n;\nSELECT 3\n"))
	require.Empty(t, splitStatements(" ;\n"))
	require.Equal(t, []string{"-- of today\nSELECT 1"}, splitStatements("-- of today\nSELECT 1;\n-- the end\n\n  -- of it;\n"))
}

func TestSQLReadsAndWritesOnlyWithWrite(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	r := h.ok(t, "sql", "SELECT number AS aB, toString(number) AS s FROM numbers(3)")
	require.Contains(t, r.stdout, "│ aB │ s │")
	require.Contains(t, h.ok(t, "sql", "SELECT number FROM numbers(3)", "--limit", "2").stderr, "only the first 2 rows shown")
	require.Equal(t, "aB,s\n0,0\n1,1\n", h.ok(t, "sql", "SELECT number AS aB, toString(number) AS s FROM numbers(2)", "--format", "csv").stdout)
	require.Equal(t, "[\n{\"a\":1},\n{\"a\":2}\n]\n", h.ok(t, "sql", "SELECT number + 1 AS a FROM numbers(2)", "--format", "json", "--limit", "1").stdout)
	script := h.runWithInput(t, "SELECT 1 AS a;\nSELECT 2 AS b;\n", "sql", "--format", "jsonl")
	require.Equal(t, "{\"a\":1}\n{\"b\":2}\n", script.stdout)

	refused := h.run(t, "sql", "DROP TABLE ohlcv_alerts")
	require.Equal(t, exitRefused, refused.code)
	require.Contains(t, refused.stderr, "give --write if that is meant")
	require.Contains(t, h.ok(t, "sql", "CREATE TABLE notes (n Int8) ENGINE = Memory", "--write").stderr, "Done")
	wrong := h.run(t, "sql", "SELECT nothing FROM ohlcv_candles")
	require.Equal(t, exitFailed, wrong.code)
	require.Contains(t, wrong.stderr, "ClickHouse says: ")
	require.Equal(t, exitUsage, h.run(t, "sql").code, "nothing on standard input")
}

func TestSQLWritesFilesThatAreWhole(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	path := filepath.Join(t.TempDir(), "x.parquet")
	h.ok(t, "sql", "SELECT number AS a FROM numbers(3000)", "--out", path)
	rows, err := parquet.ReadFile[struct {
		A *uint64 `parquet:"a"`
	}](path)
	require.NoError(t, err)
	require.Len(t, rows, 3000)
	require.EqualValues(t, 2999, *rows[2999].A)

	asked := h.runWithInput(t, "n\n", "sql", "SELECT 1", "--out", path)
	require.Equal(t, exitRefused, asked.code)
	require.Contains(t, asked.stderr, "is there already. Overwrite it? [y/N]")
	failed := h.run(t, "sql", "SELECT throwIf(number = 100000) FROM numbers(200000) SETTINGS max_block_size = 1000", "--out", path, "--yes")
	require.Equal(t, exitFailed, failed.code)
	rows2, err := parquet.ReadFile[struct {
		A *uint64 `parquet:"a"`
	}](path)
	require.NoError(t, err, "what was there stays when the new one fails")
	require.Len(t, rows2, 3000)
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	require.Len(t, entries, 1)
	h.ok(t, "sql", "SELECT 1 AS a", "--out", path, "--yes")
	for _, args := range [][]string{{"--out", filepath.Dir(path)}, {"--out", "x.txt"}, {"--out", "x.csv", "--format", "table"}, {"--format", "xml"}, {"--out", os.DevNull, "--format", "csv", "--yes"}} {
		require.Equal(t, exitUsage, h.run(t, append([]string{"sql", "SELECT 1"}, args...)...).code, args)
	}
}

// screen collects what a terminal shows.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func TestSQLAsksOnATerminal(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	keyboard, tty, err := pty.Open()
	require.NoError(t, err)
	defer keyboard.Close()
	shown := &screen{}
	go func() { _, _ = io.Copy(shown, keyboard) }() // ends with the keyboard
	a := &app{stdin: tty, stdout: tty, stderr: tty, now: time.Now, getenv: func(name string) string { return h.vars[name] }}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	done := make(chan int, 1)
	go func() { done <- a.run(ctx, []string{"sql"}) }()
	expect := func(text string) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(shown.String(), text) }, 2*time.Minute, 5*time.Millisecond, "%q in %q", text, shown)
	}
	expect("sql> ")
	_, err = keyboard.WriteString("SELECT 40 +\r")
	require.NoError(t, err)
	expect("...> ")
	_, err = keyboard.WriteString("2 AS answer;\r")
	require.NoError(t, err)
	expect("│ answer │")
	_, err = keyboard.WriteString("DROP TABLE ohlcv_alerts;\r")
	require.NoError(t, err)
	expect("may only read")
	_, err = keyboard.WriteString("SELECT 'after' AS a;\r")
	require.NoError(t, err)
	expect("│ after │")
	_, err = keyboard.WriteString("\x04")
	require.NoError(t, err)
	require.Equal(t, 0, <-done)
	require.NoError(t, tty.Close())
}

package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
	"quantbot/internal/worklist"
)

// unserved runs a command that reaches no server.
func unserved(ctx context.Context, stdin io.Reader, args ...string) result {
	var stdout, stderr bytes.Buffer
	a := &app{stdin: stdin, stdout: &stdout, stderr: &stderr, now: time.Now, getenv: func(name string) string {
		return map[string]string{"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": "1", "REDIS_URL": "redis://127.0.0.1:1/0"}[name]
	}}
	return result{a.run(ctx, args), stdout.String(), stderr.String()}
}

// 200 tokens over 56 years of seconds: the answer comes at once and says what to do.
func TestADryRunOfTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	tokens := writeTokens(t, simmarket.Tokens(200))
	r := unserved(t.Context(), nil, "ingestion", "ohlcv", "--from", "1970-01-02", "--to", "2026-01-01", "--interval", "1s", "--tokens", tokens, "--dry-run")
	require.Equal(t, exitRefused, r.code, r.stderr)
	require.Empty(t, r.stdout)
	require.Contains(t, r.stderr, "the plan would have 17671400 chunks, above the limit of 5000000: take a larger --interval, a shorter --from to --to, or fewer tokens at a time\n")
}

func TestADryRunHeedsAnInterrupt(t *testing.T) {
	t.Parallel()
	tokens := writeTokens(t, simmarket.Tokens(40))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r := unserved(ctx, nil, "ingestion", "ohlcv", "--from", "1970-01-02", "--to", "2026-01-01", "--interval", "1s", "--tokens", tokens, "--dry-run")
	require.Equal(t, exitInterrupted, r.code, r.stderr)
	require.Empty(t, r.stdout)
}

func writeFile(t *testing.T, name, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func TestListsThatAreNotUnderstoodGetOneClearSentence(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ticker,name\nBTCUSDT,Bitcoin\n": "has no column " + worklist.TokenColumns() + "; it has: ticker, name. Give it a header with one of them, or one token a line",
		"name\nBTCUSDT\n":                "; it has: name. Give",
		"name,symbol\n\"x,BTCUSDT\n":     `has a quote on line 2 that is not closed as in CSV`,
		strings.Repeat("A", 100_000):     "has a line above 65536 bytes (line 1): it is no list of tokens",
		"PK\x03\x04":                     "is a zip archive or an Excel file: save it as CSV",
	} {
		path := writeFile(t, "list.csv", text)
		r := unserved(t.Context(), nil, "ingestion", "ohlcv", "--from", "-1d", "--to", "now", "--chain", "Binance-Spot", "--source", "binance", "--tokens", path, "--dry-run")
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Regexp(t, `^quantbot: cannot read --tokens: \S+list\.csv [^\n]+\n$`, r.stderr)
		require.Contains(t, r.stderr, want)
		require.Empty(t, r.stdout)
	}
}

// Calls in seconds and microseconds vanished without a word, also under --strict-worklist.
func TestCallsInOtherUnitsAreListedOrRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "what? 100%.duckdb")
	var calls []worklist.Call
	for i, at := range []int64{1735776000000, 1735776060, 1735776060000000} {
		calls = append(calls, worklist.Call{Token: simmarket.Tokens(3)[i], AtMS: at})
	}
	require.NoError(t, worklist.WriteSample(t.Context(), path, calls))
	args := []string{"ingestion", "ohlcv", "--from", "2025-01-01", "--to", "2025-01-04", "--duckdb", path, "--dry-run"}
	r := unserved(t.Context(), nil, args...)
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "of 1 token,")
	require.Contains(t, r.stderr, "caller_links_d: skipped 2 rows that cannot be used:")
	require.Contains(t, r.stderr, "row 2: time of the call (1735776060) looks like seconds, not milliseconds (chain \"solana\"")
	require.Contains(t, r.stderr, "row 3: time of the call (1735776060000000) looks like microseconds, not milliseconds")
	require.Equal(t, exitRefused, unserved(t.Context(), nil, append(args, "--strict-worklist")...).code)

	seconds := filepath.Join(t.TempDir(), "seconds.duckdb")
	require.NoError(t, worklist.WriteSample(t.Context(), seconds, calls[1:2]))
	r = unserved(t.Context(), nil, "ingestion", "ohlcv", "--from", "2025-01-01", "--to", "2025-01-04", "--duckdb", seconds, "--dry-run")
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.stderr, "caller_links_d has no row in [2025-01-01T00:00:00Z, 2025-01-04T00:00:00Z) that can be used; of the first, time of the call (1735776060) looks like seconds")
}

func TestSidesAreUnderstoodOrRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "calls.duckdb")
	require.NoError(t, worklist.WriteSample(t.Context(), path, []worklist.Call{{Token: simmarket.Tokens(1)[0], AtMS: 1735776000000}}))
	ask := func(args ...string) result {
		return unserved(t.Context(), nil, append([]string{"ingestion", "ohlcv", "--from", "2025-01-01", "--to", "2025-01-04", "--dry-run"}, args...)...)
	}
	require.Equal(t, 0, ask("--duckdb", path, "--side", "").code)
	for want, args := range map[string][]string{
		`--side "long" is none of buy, sell`:         {"--duckdb", path, "--side", "long"},
		"with --calls-query put it into the SQL":     {"--duckdb", path, "--calls-query", "SELECT 1", "--side", "sell"},
		"--side chooses calls of the tables that --": {"--token", simmarket.Tokens(1)[0].Address, "--side", "sell"},
	} {
		r := ask(args...)
		require.Equal(t, exitUsage, r.code, r.stderr)
		require.Contains(t, r.stderr, want)
	}
}

func TestAnExchangesSourceImpliesItsVenue(t *testing.T) {
	t.Parallel()
	ask := func(args ...string) result {
		return unserved(t.Context(), nil, append([]string{"ingestion", "ohlcv", "--from", "2025-01-01", "--to", "2025-01-04", "--dry-run"}, args...)...)
	}
	r := ask("--source", "binance", "--token", "BTCUSDT")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stdout, "of 1 token,")
	require.Equal(t, exitUsage, ask("--source", "binance", "--chain", "solana", "--token", "BTCUSDT").code, "what was named holds")
	require.Equal(t, exitUsage, ask("--token", "BTCUSDT").code)
}

func TestStandardInputThatNeverEndsHeedsAnInterrupt(t *testing.T) {
	t.Parallel()
	silent, writer := io.Pipe()
	defer writer.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan result, 1)
	go func() {
		done <- unserved(ctx, silent, "ingestion", "ohlcv", "--from", "-1d", "--to", "now", "--tokens", "-", "--dry-run")
	}()
	_, err := writer.Write([]byte("# nothing yet\n")) // returns when it was read
	require.NoError(t, err)
	cancel()
	require.Equal(t, exitInterrupted, (<-done).code)
}

// Ctrl-C at a question must not leave it waiting for a "y" that then does it all the same.
func TestAQuestionHeedsAnInterrupt(t *testing.T) {
	t.Parallel()
	silent, writer := io.Pipe()
	defer writer.Close()
	a := &app{stdin: silent, stderr: io.Discard}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.confirm(ctx, false, "Roll back?") }()
	_, err := writer.Write([]byte("y")) // returns when it was read; the line has no end yet
	require.NoError(t, err)
	cancel()
	var coded *exitError
	require.ErrorAs(t, <-done, &coded)
	require.Equal(t, exitInterrupted, coded.code)
	endless := strings.NewReader(strings.Repeat("y", 1<<20))
	require.Error(t, (&app{stdin: endless, stderr: io.Discard}).confirm(t.Context(), false, "Roll back?"))
	require.Greater(t, endless.Len(), 1<<19, "not read to its end")
}

func TestBadInputGetsOneClearSentence(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	empty := filepath.Join(t.TempDir(), "empty.duckdb")
	require.NoError(t, worklist.WriteSample(t.Context(), empty, nil))
	garbage := filepath.Join(t.TempDir(), "garbage.duckdb")
	require.NoError(t, os.WriteFile(garbage, []byte(strings.Repeat("no database ", 1_000)), 0o600))
	token := simmarket.Tokens(1)[0].Address
	ingest := func(args ...string) []string {
		return append([]string{"ingestion", "ohlcv", "--from", "2024-01-01", "--to", "2024-01-02"}, args...)
	}
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"from after to":      {[]string{"ingestion", "ohlcv", "--from", "2024-01-02", "--to", "2024-01-01", "--token", token}, "must be before"},
		"no range":           {[]string{"ingestion", "ohlcv", "--token", token}, "--from and --to are required"},
		"unknown interval":   {ingest("--token", token, "--interval", "7m"), "unknown interval"},
		"unknown chain":      {ingest("--token", token, "--chain", "dogechain"), "unknown chain"},
		"unknown source":     {ingest("--token", token, "--source", "nowhere"), "unknown source"},
		"missing file":       {ingest("--duckdb", "/no/such/file.duckdb"), "there is no file"},
		"no DuckDB file":     {ingest("--duckdb", garbage), "no DuckDB file"},
		"no tokens in range": {ingest("--duckdb", empty), "no tokens"},
		"no address":         {ingest("--token", "0xdeadbeef"), "no Solana mint"},
		"missing token list": {ingest("--tokens", "/no/such/list"), "cannot read --tokens"},
		"token directory":    {ingest("--tokens", t.TempDir()), "is a directory"},
		"short run id":       {[]string{"ohlcv", "runs-details", "01a2"}, "at least 8 characters"},
		"half a range":       {[]string{"ohlcv", "coverage", "--from", "-1d"}, "both --from and --to"},
		"wait for no run":    {[]string{"ohlcv", "gaps", "--wait"}, "--wait needs --fetch"},
		"directory of local": {[]string{"--local", "/x", "ohlcv", "runs-list"}, "--local=DIR"},
		"export directory":   {[]string{"ohlcv", "export", "--from", "2024-01-01", "--to", "2024-01-02", "--out", t.TempDir()}, "is a directory"},
		"no worklist":        {ingest(), "name a worklist"},
		"two worklists":      {ingest("--token", token, "--tokens", "x"), "one worklist only"},
		"halt rate too high": {ingest("--token", token, "--halt-rejection-rate", "50"), "--halt-rejection-rate"},
		"unknown flag":       {ingest("--no-such-flag"), "unknown flag"},
		"negative window":    {[]string{"ohlcv", "dedup-sweep", "--older-than", "-1d", "--yes"}, "--older-than must not be negative"},
		"negative patience":  {[]string{"ohlcv", "validate-duplicates", "--stuck-after", "-1d"}, "--stuck-after must not be negative"},
		"export to what":     {[]string{"ohlcv", "export", "--from", "2024-01-01", "--to", "2024-01-02", "--out", "x.xlsx"}, "does not say what to write"},
		"misspelt command":   {[]string{"ohlcv", "runs-lists"}, `unknown command "runs-lists" for "quantbot ohlcv"`},
		"unknown status":     {[]string{"ohlcv", "runs-list", "--status", "great"}, "--status"},
		"details without id": {[]string{"ohlcv", "runs-details"}, "wants 1 argument, but got 0"},
		"window too long":    {ingest("--duckdb", empty, "--pre-window", "9223372036854775807"), "at most 5256000 minutes"},
		"too many candles":   {[]string{"ohlcv", "query", "--token", token, "--from", "-1d", "--to", "now", "--limit", "1000001"}, "between 1 and 1000000"},
		"too many tokens":    {[]string{"ohlcv", "gaps", "--limit", "1000001"}, "between 1 and 1000000"},
		"unknown dedup mode": {ingest("--token", token, "--dedup-mode", "magic"), "--dedup-mode"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := h.run(t, test.args...)
			require.Equal(t, exitUsage, r.code, r.stderr)
			require.Contains(t, r.stderr, test.want)
			require.NotContains(t, r.stderr, "goroutine")
			require.Empty(t, r.stdout)
		})
	}
}

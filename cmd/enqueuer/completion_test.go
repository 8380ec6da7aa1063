package main

import (
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/worklist"
)

// offline is the program without anything to reach.
func offline(t *testing.T, args ...string) string {
	t.Helper()
	var stdout strings.Builder
	a := &app{stdin: strings.NewReader(""), stdout: &stdout, stderr: io.Discard, now: time.Now, getenv: func(name string) string {
		return map[string]string{"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": "1"}[name]
	}}
	require.Equal(t, 0, a.run(t.Context(), append([]string{"__complete"}, args...)), args)
	return stdout.String()
}

func TestTheShellKnowsTheValuesOfFlags(t *testing.T) {
	t.Parallel()
	for args, offered := range map[string]string{
		"ohlcv runs-list --status":         "running completed failed cancelled rolled_back",
		"ohlcv runs-list --format":         "table json",
		"ohlcv export --format":            "parquet csv",
		"ingestion ohlcv --interval":       "1s 15s 1m 5m 15m 1h 4h 1d",
		"ingestion ohlcv --source":         "binance birdeye geckoterminal",
		"ingestion ohlcv --dedup-mode":     "none inline post-batch",
		"ohlcv dedup-sweep --interval":     "1s 15s 1m 5m 15m 1h 4h 1d",
		"ohlcv sources-unpark":             "binance birdeye geckoterminal",
		"dashboard --log-level":            "debug info warn error",
		"ohlcv runs-list":                  "",
		"ohlcv runs-details":               "", // no ClickHouse
		"--local ohlcv runs-details":       "",
		"ohlcv runs-details 0192f0c1-5e0c": "",
	} {
		lines := strings.Fields(offline(t, append(strings.Fields(args), "")...))
		require.Equal(t, offered, strings.Join(lines[:len(lines)-1], " "), args)
		require.NotEqual(t, ":0", lines[len(lines)-1], "%s: no file is meant", args)
	}
	for _, interval := range flagValues()["interval"] {
		_, err := candle.ParseInterval(interval)
		require.NoError(t, err)
	}
}

func TestTheShellKnowsTheRuns(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	b.worker(t)
	run := row(t, b.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", "So11111111111111111111111111111111111111112", "--wait", "--format", "json").stdout)
	id := fmt.Sprint(run["run_id"])
	for command, offers := range map[string]bool{
		"runs-details": true, "runs-diff": true, "runs-rollback": true, "runs-retry": false, "runs-restore": false, "runs-cancel": false,
	} {
		require.Equal(t, offers, strings.Contains(b.ok(t, "__complete", "ohlcv", command, "").stdout, id+"\tcompleted "), command)
	}
	require.Contains(t, b.ok(t, "__complete", "ohlcv", "runs-diff", id, "").stdout, id)
	require.NotContains(t, b.ok(t, "__complete", "ohlcv", "runs-diff", id, id, "").stdout, id)
}

// Every command says what it does, by an example too, and what its flags mean.
func TestEveryCommandIsExplained(t *testing.T) {
	t.Parallel()
	a := &app{stdout: io.Discard, stderr: io.Discard, getenv: func(string) string { return "" }, now: time.Now}
	var check func(cmd *cobra.Command)
	check = func(cmd *cobra.Command) {
		if cmd.Runnable() && !cmd.Hidden {
			require.NotEmpty(t, cmd.Short, cmd.CommandPath())
			require.Contains(t, cmd.Example, strings.TrimPrefix(cmd.CommandPath(), programName()+" "), cmd.CommandPath())
		}
		cmd.Flags().VisitAll(func(f *pflag.Flag) { require.NotEmpty(t, f.Usage, "%s --%s", cmd.CommandPath(), f.Name) })
		for _, sub := range cmd.Commands() {
			check(sub)
		}
	}
	check(a.rootCommand())
}

// Every example of the help is understood: what it lacks here is only a ClickHouse.
func TestEveryExampleIsUnderstood(t *testing.T) {
	t.Parallel()
	calls := filepath.Join(t.TempDir(), "calls.duckdb")
	token := simmarket.Tokens(1)
	require.NoError(t, worklist.WriteSample(t.Context(), calls, []worklist.Call{{Token: token[0], AtMS: 1_000 * unix(t, "2024-01-01T12:00:00Z")}}))
	tokens := writeTokens(t, token)
	redis := miniredis.RunT(t) // a Redis that is away is asked several times
	var examples []string
	var collect func(cmd *cobra.Command)
	collect = func(cmd *cobra.Command) {
		if !slices.Contains([]string{"dev", "demo", "dashboard", "simmarket", "alert-test"}, cmd.Name()) { // they go on until they are stopped, or act
			examples = append(examples, strings.Split(cmd.Example, "\n")...)
		}
		for _, below := range cmd.Commands() {
			collect(below)
		}
	}
	collect((&app{getenv: func(string) string { return "" }, now: time.Now}).rootCommand())
	require.Greater(t, len(examples), 25)
	for _, example := range examples {
		_, command, ok := strings.Cut(example, "quantbot ")
		if !ok || command == "demo" {
			continue
		}
		command = strings.NewReplacer("--local ", "", "data/calls.duckdb", calls, "calls.duckdb", calls, "tokens.txt", tokens, "'source was wrong'", "wrong").Replace(command)
		var stderr strings.Builder
		a := &app{stdin: strings.NewReader(token[0].Address), stdout: io.Discard, stderr: &stderr, now: time.Now, getenv: func(name string) string {
			return map[string]string{"REDIS_URL": "redis://" + redis.Addr(), "CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": "1"}[name]
		}}
		if code := a.run(t.Context(), strings.Fields(command)); code != 0 {
			require.Equal(t, exitFailed, code, "%s: %s", example, stderr.String())
		}
	}
}

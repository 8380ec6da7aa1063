package cli

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
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
		"ohlcv export --format":            "parquet csv json jsonl",
		"sql --format":                     "table parquet csv json jsonl",
		"ohlcv coverage --chain":           "arbitrum avalanche base binance-spot bsc ethereum monad optimism polygon solana",
		"ingestion ohlcv --token":          "", // no ClickHouse
		"--log-format":                     "text json",
		"ingestion ohlcv --interval":       "1s 15s 1m 5m 15m 1h 4h 1d",
		"ingestion ohlcv --source":         "binance birdeye geckoterminal",
		"ingestion ohlcv --dedup-mode":     "none inline post-batch",
		"ohlcv dedup-sweep --interval":     "1s 15s 1m 5m 15m 1h 4h 1d",
		"ohlcv sources-unpark":             "binance birdeye geckoterminal",
		"ingestion ohlcv --side":           "buy sell",
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
	h := setup(t, simmarket.Options{})
	h.worker(t)
	run := row(t, h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", "So11111111111111111111111111111111111111112", "--wait", "--format", "json").stdout)
	id := fmt.Sprint(run["run_id"])
	for command, offers := range map[string]bool{
		"runs-details": true, "runs-diff": true, "runs-rollback": true, "runs-retry": false, "runs-restore": false, "runs-cancel": false,
	} {
		require.Equal(t, offers, strings.Contains(h.ok(t, "__complete", "ohlcv", command, "").stdout, id+"\tcompleted "), command)
	}
	require.Contains(t, h.ok(t, "__complete", "ohlcv", "runs-diff", id, "").stdout, id)
	require.NotContains(t, h.ok(t, "__complete", "ohlcv", "runs-diff", id, id, "").stdout, id)
}

func TestTheShellKnowsTheTokens(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.vars["BINANCE_BASE_URL"], h.vars["BINANCE_DUMP_URL"] = h.vars["BIRDEYE_BASE_URL"], h.vars["BIRDEYE_BASE_URL"]
	for interval, tokens := range map[string][]string{"1m": {"So11111111111111111111111111111111111111112", "base:0x" + strings.Repeat("ab", 20)}, "5m": {"binance-spot:BTCUSDT"}} {
		args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--interval", interval}
		if interval == "5m" {
			args = append(args, "--source", "binance")
		}
		for _, token := range tokens {
			args = append(args, "--token", token)
		}
		h.ok(t, args...)
	}
	offered := func(args ...string) string {
		lines := strings.Split(h.ok(t, append([]string{"__complete"}, args...)...).stdout, "\n")
		return strings.Join(lines[:len(lines)-2], " ")
	}
	require.Equal(t, "base:0x"+strings.Repeat("ab", 20)+"\tbase So11111111111111111111111111111111111111112\tsolana", offered("ohlcv", "query", "--token", ""))
	require.Equal(t, "So11111111111111111111111111111111111111112\tsolana", offered("ohlcv", "query", "--token", "So1"))
	require.Equal(t, "0x"+strings.Repeat("ab", 20)+"\tbase", offered("ohlcv", "query", "--token", "0xab"))
	require.Equal(t, "binance-spot:BTCUSDT\tbinance-spot", offered("ohlcv", "query", "--interval", "5m", "--token", "bin"))
	require.Empty(t, offered("ohlcv", "query", "--token", "zzz"))
}

// The script must work in a shell that has nothing of the package bash-completion.
func TestBashCompletesWithoutItsPackage(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("bash"); err != nil {
		require.NoError(t, err, "scripts/setup needs bash, too")
	}
	var script strings.Builder
	a := &app{stdin: strings.NewReader(""), stdout: &script, stderr: io.Discard, now: time.Now, getenv: func(string) string { return "" }}
	require.Equal(t, 0, a.run(t.Context(), []string{"completion", "bash"}))
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "quantbot"), []byte("#!/bin/bash\nexec env "+roleVariable+"=1 "+os.Args[0]+" \"$@\"\n"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "script"), []byte(script.String()), 0o600))
	for line, want := range map[string]string{
		"quantbot ohlcv runs-w":                  "runs-watch",
		"quantbot ohlcv runs-list --status ":     "running completed failed cancelled rolled_back",
		"quantbot ingestion ohlcv --window=r":    "range",
		"quantbot  ohlcv  runs-list --format  j": "json",
	} {
		shell := exec.CommandContext(t.Context(), "bash", "--norc", "--noprofile", "-c",
			`compopt() { :; }; source "$0"; COMP_LINE="$1"; COMP_POINT=${#COMP_LINE}; __start_quantbot; echo "${COMPREPLY[@]}"`, filepath.Join(dir, "script"), line)
		shell.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir}
		out, err := shell.CombinedOutput()
		require.NoError(t, err, string(out))
		require.Equal(t, want, strings.TrimSpace(string(out)), line)
	}
}

func TestCommandsThatDoNotExistAreGuessed(t *testing.T) {
	t.Parallel()
	for args, meant := range map[string]string{
		"ohlcv runs-watch":   ": wants 1 argument, but got 0",
		"runs-list":          "; did you mean quantbot ohlcv runs-list?",
		"ohlcv runs-lst":     "; did you mean quantbot ohlcv runs-list?",
		"ohlcv sql":          "; did you mean quantbot sql?",
		"qurey":              "; did you mean quantbot ohlcv query?",
		"ohlcv":              "",
		"ohlcv frobnicate":   "unknown command \"frobnicate\" for \"quantbot ohlcv\"\n",
		"ingestion oh":       "; did you mean quantbot ingestion ohlcv or quantbot ohlcv?",
		"ohlcv runs-restart": "unknown command \"runs-restart\" for \"quantbot ohlcv\"",
	} {
		r := unserved(t.Context(), nil, strings.Fields(args)...)
		if meant == "" {
			require.Equal(t, 0, r.code)
			continue
		}
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.stderr, meant, args)
		require.NotContains(t, r.stderr, "Did you mean this", args)
	}
}

func TestEveryCommandHasAManualPage(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "man1")
	require.Equal(t, 0, unserved(t.Context(), nil, "man", "--dir", dir).code)
	pages, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Greater(t, len(pages), 30)
	one := unserved(t.Context(), nil, "man", "ohlcv", "query")
	require.Equal(t, 0, one.code)
	require.Contains(t, one.stdout, `.TH "QUANTBOT-OHLCV-QUERY" "1"`)
	require.Equal(t, exitUsage, unserved(t.Context(), nil, "man", "nothing").code)
}

func TestLogsAreTextOrJSON(t *testing.T) {
	t.Parallel()
	var stderr strings.Builder
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr, now: time.Now, getenv: func(name string) string {
		return map[string]string{"CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": "1", "REDIS_URL": "redis://127.0.0.1:1/0"}[name]
	}}
	require.Equal(t, 0, a.run(t.Context(), []string{"ingestion", "ohlcv", "--from", "2025-01-01", "--to", "2025-01-02", "--token", "So11111111111111111111111111111111111111112", "--dry-run", "--log-format", "json"}))
	first, _, _ := strings.Cut(stderr.String(), "\n")
	var record map[string]any
	require.NoError(t, json.Unmarshal([]byte(first), &record), first)
	require.Equal(t, "WARN", record["level"])
	require.Equal(t, exitUsage, unserved(t.Context(), nil, "version", "--log-format", "xml").code)
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
	manuals := t.TempDir()
	for _, example := range examples {
		_, command, ok := strings.Cut(example, "quantbot ")
		if !ok || command == "demo" {
			continue
		}
		command, _, _ = strings.Cut(command, " | ")
		command, _, _ = strings.Cut(command, " < ")
		command = strings.NewReplacer("--local ", "", "/usr/local/share/man/man1", manuals, "data/calls.duckdb", calls, "calls.duckdb", calls, "tokens.txt", tokens, "'source was wrong'", "wrong").Replace(command)
		var stderr strings.Builder
		a := &app{stdin: strings.NewReader(token[0].Address), stdout: io.Discard, stderr: &stderr, now: time.Now, getenv: func(name string) string {
			return map[string]string{"REDIS_URL": "redis://" + redis.Addr(), "CLICKHOUSE_HOST": "127.0.0.1", "CLICKHOUSE_PORT": "1"}[name]
		}}
		words := csv.NewReader(strings.NewReader(command))
		words.Comma = ' '
		args, err := words.Read()
		require.NoError(t, err, command)
		if code := a.run(t.Context(), args); code != 0 {
			require.Equal(t, exitFailed, code, "%s: %s", example, stderr.String())
		}
	}
}

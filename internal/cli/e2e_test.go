package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/local"
	"quantbot/internal/local/localtest"
	"quantbot/internal/simmarket"
	"quantbot/internal/worklist"
)

// roleVariable lets the test binary be quantbot itself, for tests that need it as a process of its own.
const roleVariable = "TEST_QUANTBOT_PROCESS"

func TestMain(m *testing.M) {
	local.RunChild()
	if os.Getenv(roleVariable) != "" {
		a := &app{stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, getenv: os.Getenv, now: time.Now}
		os.Exit(a.run(context.Background(), os.Args[1:]))
	}
	localtest.Main(m)
}

// bench is one test's world: engines, a market, and quantbot's commands in it.
type bench struct {
	env    *localtest.Env
	market *simmarket.Server
	vars   map[string]string
	// present has a proxy in front of ClickHouse show another certificate.
	present func()
	// skew is how far the clock is off of the host that the commands run on.
	skew time.Duration
}

func setup(t *testing.T, options simmarket.Options) *bench {
	t.Helper()
	options.Now = time.Now
	if options.Market == nil {
		options.Market = simmarket.NewMarket(1)
	}
	b := &bench{env: localtest.New(t), market: simmarket.NewServer(options)}
	running, err := simmarket.Listen(t.Context(), "127.0.0.1:0", b.market)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, running.Close(ctx))
	})
	b.vars = b.env.Vars()
	b.vars["BIRDEYE_BASE_URL"], b.vars["BIRDEYE_API_KEY"], b.vars["BIRDEYE_RPS"] = running.URL(), "distinctive-key", "500"
	return b
}

type result struct {
	code           int
	stdout, stderr string
}

func (b *bench) run(t *testing.T, args ...string) result {
	t.Helper()
	return b.runWithInput(t, "", args...)
}

func (b *bench) runWithInput(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr,
		now:    func() time.Time { return time.Now().Add(b.skew) },
		getenv: func(name string) string { return b.vars[name] },
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	code := a.run(ctx, args)
	r := result{code, stdout.String(), stderr.String()}
	require.NotContains(t, r.stdout+r.stderr, "distinctive-key")
	return r
}

// worker starts a worker process, which ends with the test.
func (b *bench) worker(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "worker.log"))
	require.NoError(t, err)
	w := exec.Command(os.Args[0], append([]string{"worker", "--log-level", "info", "--concurrency", "4"}, args...)...)
	w.Env = append(os.Environ(), roleVariable+"=1")
	for name, value := range b.vars {
		w.Env = append(w.Env, name+"="+value)
	}
	w.Stdout, w.Stderr = log, log
	require.NoError(t, w.Start())
	t.Cleanup(func() {
		_ = w.Process.Signal(syscall.SIGTERM)
		_ = w.Wait()
		_, err := log.Seek(0, io.SeekStart)
		require.NoError(t, err)
		text, err := io.ReadAll(log)
		require.NoError(t, err)
		require.NotContains(t, string(text), "distinctive-key")
		if t.Failed() {
			t.Logf("worker's log:\n%s", text)
		}
	})
	return w
}

// row reads the one JSON object that a command printed.
func row(t *testing.T, stdout string) map[string]any {
	t.Helper()
	var object map[string]any
	require.NoError(t, json.Unmarshal([]byte(stdout), &object), stdout)
	return object
}

func (b *bench) table(name string) string { return b.env.Database + "." + name }

// number reads one number from ClickHouse.
func (b *bench) number(t *testing.T, query string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(b.env.ClickHouse(t, query)), 10, 64)
	require.NoError(t, err)
	return n
}

// truth counts what the market has in the range.
func truth(market *simmarket.Market, tokens []candle.Token, r candle.Range) int64 {
	total := int64(0)
	for _, token := range tokens {
		total += int64(len(market.Candles(token, candle.Interval1m, r)))
	}
	return total
}

func unix(t *testing.T, s string) int64 {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	require.NoError(t, err)
	return at.Unix()
}

func writeTokens(t *testing.T, tokens []candle.Token) string {
	t.Helper()
	var lines strings.Builder
	for _, token := range tokens {
		lines.WriteString(token.Address + "\n")
	}
	path := filepath.Join(t.TempDir(), "tokens.txt")
	require.NoError(t, os.WriteFile(path, []byte(lines.String()), 0o600))
	return path
}

func TestCallsBecomeCandlesAndARunRow(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	var calls []worklist.Call
	tokens := simmarket.Tokens(20)
	for i, token := range tokens {
		calls = append(calls, worklist.Call{Token: token, AtMS: 1_000 * (unix(t, "2025-03-01T12:00:00Z") + int64(i)*600)})
	}
	file := filepath.Join(t.TempDir(), "calls.duckdb")
	require.NoError(t, worklist.WriteSample(t.Context(), file, calls))
	b.worker(t)
	b.worker(t)

	r := b.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--duckdb", file, "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	require.Equal(t, "completed", run["status"])
	var want int64
	for _, w := range worklist.CallWindows(calls, 260*time.Minute, 1440*time.Minute) {
		want += truth(simmarket.NewMarket(1), []candle.Token{w.Token}, w.Ranges[0])
	}
	require.EqualValues(t, want, run["candles_inserted"])
	require.EqualValues(t, want, b.number(t, "SELECT count() FROM "+b.table("ohlcv_candles")))
	require.EqualValues(t, 20, run["planned_chunks"])

	// The statement that the audit trail was asked for, unchanged but for the database.
	brief := b.env.ClickHouse(t, `SELECT run_id, started_at, completed_at, status, script_version, git_commit_hash, git_branch, git_dirty,
		candles_fetched, candles_inserted, tokens_processed, errors_count
		FROM `+b.table("ohlcv_ingestion_runs")+` ORDER BY started_at DESC LIMIT 10`)
	require.Equal(t, 1, strings.Count(brief, "\n"))

	id, ok := run["run_id"].(string)
	require.True(t, ok)
	require.Contains(t, b.run(t, "ohlcv", "runs-list", "--status=completed", "--limit=20").stdout, id)
	require.Equal(t, "No runs.\n", b.run(t, "ohlcv", "runs-list", "--status=failed").stdout)
	details := b.run(t, "ohlcv", "runs-details", id)
	require.Equal(t, 0, details.code, details.stderr)
	require.Contains(t, details.stdout, "identity holds")
	require.Contains(t, details.stdout, `"BIRDEYE_API_KEY":"***"`)
	clean := row(t, b.run(t, "ohlcv", "runs-details", id, "--failed", "--format", "json").stdout)
	for _, list := range []string{"failures", "rejected_by_rule", "tasks"} {
		require.Equal(t, []any{}, clean[list], list)
	}
	list := b.run(t, "ohlcv", "runs-list", "--format", "json", "--limit", "1")
	require.Contains(t, list.stdout, id)
	require.Equal(t, 0, b.run(t, "ohlcv", "runs-watch", id).code)
}

// The recorded minutes of a real token arrive exactly, and its gaps stay gaps.
func TestRecordedCandlesArriveExactly(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "shared", "data", "candles.csv")
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		t.Skip("the recorded market data is not on this machine")
	}
	require.NoError(t, err)
	defer file.Close()
	market, err := simmarket.LoadCSV(file)
	require.NoError(t, err)
	const mint = "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"
	token := candle.Token{Chain: candle.Solana, Address: mint}
	all := market.Candles(token, candle.Interval1m, candle.Range{From: 0, To: 4_000_000_000})
	require.Len(t, all, 8_281)
	b := setup(t, simmarket.Options{Market: market})
	b.worker(t)

	r := b.run(t, "ingestion", "ohlcv", "--from", candle.FormatTime(all[0].OpenTime), "--to", candle.FormatTime(all[len(all)-1].OpenTime+60),
		"--token", mint, "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	require.EqualValues(t, 8_281, run["candles_fetched"])
	require.EqualValues(t, 8_281, run["candles_inserted"])

	got := b.run(t, "ohlcv", "query", "--token", mint, "--from", "2025-01-01", "--to", "2026-01-01", "--limit", "100000", "--format", "json")
	var candles []printedCandle
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &candles))
	require.Len(t, candles, len(all))
	for i, want := range all {
		c := candles[i]
		require.Equal(t, want, candle.Candle{OpenTime: c.Timestamp.Unix(), Open: c.Open, High: c.High, Low: c.Low, Close: c.Close, Volume: c.Volume, VolumeUSD: c.VolumeUSD})
	}
}

func TestATokenThatAlwaysFailsFailsTheRunAndOnlyItself(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(5)
	bad := tokens[2].Address
	b := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "500", Token: bad}}})
	b.worker(t)
	r := b.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	run := row(t, r.stdout)
	require.Equal(t, "failed", run["status"])
	require.EqualValues(t, 1, run["errors_count"])
	require.Contains(t, run["error_message"], bad)
	require.Contains(t, run["error_message"], "HTTP 500")
	require.EqualValues(t, 4+5, run["api_calls"], "each of the five tries was paid for")
	others := append(append([]candle.Token{}, tokens[:2]...), tokens[3:]...)
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	require.EqualValues(t, truth(simmarket.NewMarket(1), others, day), b.number(t, "SELECT count() FROM "+b.table("ohlcv_candles")))
	details := b.run(t, "ohlcv", "runs-details", fmt.Sprint(run["run_id"]), "--failed")
	require.Contains(t, details.stdout, bad)
}

// R7: trouble with the audit trail never stops ingestion, and the trail is completed later.
func TestCandlesArriveWhileTheHistoryIsAway(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	require.Equal(t, 0, b.run(t, "migrate").code)
	b.env.ClickHouse(t, "RENAME TABLE "+b.table("ohlcv_run_lifecycle")+" TO "+b.table("away1"))
	b.env.ClickHouse(t, "RENAME TABLE "+b.table("ohlcv_ingestion_tasks")+" TO "+b.table("away2"))
	b.worker(t)
	tokens := simmarket.Tokens(5)
	r := b.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stderr, "level=WARN")
	run := row(t, r.stdout)
	require.Equal(t, "completed", run["status"])
	inserted := b.number(t, "SELECT count() FROM "+b.table("ohlcv_candle_versions")+" FINAL")
	require.Positive(t, inserted)
	require.EqualValues(t, run["candles_inserted"], inserted)

	b.env.ClickHouse(t, "RENAME TABLE "+b.table("away1")+" TO "+b.table("ohlcv_run_lifecycle"))
	b.env.ClickHouse(t, "RENAME TABLE "+b.table("away2")+" TO "+b.table("ohlcv_ingestion_tasks"))
	require.Eventually(t, func() bool {
		return b.number(t, "SELECT count() FROM "+b.table("ohlcv_ingestion_runs")+" WHERE status = 'completed'") == 1 &&
			b.number(t, "SELECT count() FROM "+b.table("ohlcv_ingestion_tasks")+" FINAL WHERE status = 'success'") == 5
	}, time.Minute, 200*time.Millisecond)
}

// A worker dies by force in the middle of a run; the other one, and asynq's recovery, complete it with exact stats.
func TestRunSurvivesAKilledWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{Latency: 200 * time.Millisecond})
	victim := b.worker(t)
	b.worker(t)
	tokens := simmarket.Tokens(60)
	ended := make(chan result, 1)
	go func() {
		ended <- b.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	}()
	require.Eventually(t, func() bool { return b.market.Stats().Requests > 16 }, time.Minute, 5*time.Millisecond)
	require.NoError(t, victim.Process.Kill())
	r := <-ended
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	want := truth(simmarket.NewMarket(1), tokens, day)
	require.EqualValues(t, want, run["candles_inserted"])
	require.EqualValues(t, want, run["candles_fetched"])
	require.EqualValues(t, want, b.number(t, "SELECT count() FROM "+b.table("ohlcv_candles")))
}

func TestTheSameInputIsRefusedWhileItRuns(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address}
	first := b.run(t, args...)
	require.Equal(t, 0, first.code, first.stderr)
	second := b.run(t, args...)
	require.Equal(t, exitRefused, second.code)
	require.Contains(t, second.stderr, "still running")
	forced := b.run(t, append(args, "--force")...)
	require.Equal(t, 0, forced.code, forced.stderr)
}

func TestBadInputGetsOneClearSentence(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
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
			r := b.run(t, test.args...)
			require.Equal(t, exitUsage, r.code, r.stderr)
			require.Contains(t, r.stderr, test.want)
			require.NotContains(t, r.stderr, "goroutine")
			require.Empty(t, r.stdout)
		})
	}
}

func TestServersThatAreAwayAreNamed(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address}
	redis := b.vars["REDIS_URL"]
	b.vars["REDIS_URL"] = "redis://user:hunter2@127.0.0.1:1/0"
	r := b.run(t, args...)
	require.Equal(t, exitFailed, r.code)
	require.Regexp(t, `^quantbot: redis cannot be reached since \S+: redis at 127\.0\.0\.1:1 does not answer .* set REDIS_URL .*\n$`, r.stderr, "one clear sentence, and no password")
	b.vars["REDIS_URL"], b.vars["CLICKHOUSE_PORT"] = redis, "1"
	r = b.run(t, args...)
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "127.0.0.1:1")
	require.Equal(t, exitFailed, b.run(t, "doctor").code)
}

// A person with nothing but a key: no servers, one command, and the run is there for the next command.
func TestLocalNeedsNoServers(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	url := b.vars["BIRDEYE_BASE_URL"]
	b.vars = map[string]string{"BIRDEYE_BASE_URL": url, "BIRDEYE_API_KEY": "distinctive-key", "BIRDEYE_RPS": "500"}
	dir := "--local=" + t.TempDir()
	r := b.runWithInput(t, simmarket.Tokens(1)[0].Address+"\n", dir, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", "-", "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	id := fmt.Sprint(row(t, r.stdout)["run_id"])
	list := b.run(t, dir, "ohlcv", "runs-list")
	require.Equal(t, 0, list.code, list.stderr)
	require.Contains(t, list.stdout, id)
}

func TestDoctorSaysThatAllIsWell(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	require.Equal(t, 0, b.run(t, "migrate").code)
	r := b.run(t, "doctor")
	require.Equal(t, 0, r.code, r.stdout+r.stderr)
	require.Contains(t, r.stdout, "redis")
	require.Contains(t, r.stdout, "birdeye keys             1 set")
}

// A program that reads brings the tables up to date first: they may be older than it, or not there at all.
func TestReadingCommandsMigrate(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	r := b.run(t, "ohlcv", "runs-list")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "No runs.\n", r.stdout)
}

func TestARunWithoutChunksEndsAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	r := b.run(t, "ingestion", "ohlcv", "--from", "2100-01-01", "--to", "2100-01-02", "--token", simmarket.Tokens(1)[0].Address, "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "completed", row(t, r.stdout)["status"])
}

func TestDevRunsEverythingUntilInterrupted(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	dir := t.TempDir()
	envFile := filepath.Join(dir, "env")
	dev := exec.Command(os.Args[0], "dev", "--dir", filepath.Join(dir, "data"), "--env-file", envFile)
	dev.Env = append(os.Environ(), roleVariable+"=1")
	said, err := os.Create(filepath.Join(dir, "stderr"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = said.Close() })
	dev.Stderr = said
	require.NoError(t, dev.Start())
	t.Cleanup(func() { _ = dev.Process.Kill() })
	var env []byte
	require.Eventually(t, func() bool {
		var err error
		env, err = os.ReadFile(envFile)
		return err == nil
	}, time.Minute, 20*time.Millisecond)
	b.vars = map[string]string{}
	for line := range strings.Lines(string(env)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		b.vars[name] = value
	}
	r := b.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--wait")
	require.Equal(t, 0, r.code, r.stderr)
	text, err := os.ReadFile(said.Name())
	require.NoError(t, err)
	info, err := os.Stat(envFile)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	for _, secret := range []string{b.vars["CLICKHOUSE_PASSWORD"], b.vars["REDIS_URL"], b.vars[dashboardToken]} {
		require.NotEmpty(t, secret)
		require.NotContains(t, string(text), secret)
	}
	_, url, found := strings.Cut(string(text), "dashboard on ")
	require.True(t, found, string(text))
	requirePrivate(t, strings.Fields(url)[0], b.vars[dashboardToken])
	require.NoError(t, dev.Process.Signal(os.Interrupt))
	require.NoError(t, dev.Wait())
	_, err = os.Stat(envFile)
	require.ErrorIs(t, err, os.ErrNotExist)
}

// requirePrivate shows that a dashboard on loopback shows nothing to other users of the machine, and all to who has the address
// that was printed, once, or the token.
func requirePrivate(t *testing.T, printed, token string) {
	t.Helper()
	at, _, found := strings.Cut(printed, "/login?once=")
	require.True(t, found, printed)
	status := func(client *http.Client, address, bearer string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		require.NoError(t, err)
		if bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	stranger, owner := &http.Client{}, &http.Client{Jar: jar}
	for _, path := range []string{"/api/runs?status=completed", "/metrics"} {
		require.Equal(t, http.StatusUnauthorized, status(stranger, at+path, ""), path)
		require.Equal(t, http.StatusOK, status(stranger, at+path, token), path)
	}
	require.Equal(t, http.StatusOK, status(owner, printed, ""), "it leads to the runs")
	require.Equal(t, http.StatusOK, status(owner, at+"/api/runs?status=completed", ""))
	require.Equal(t, http.StatusUnauthorized, status(stranger, printed, ""), "it works once")
}

// Whoever looks at the data of --local is its owner as well, token or not.
func TestTheDashboardOfLocalEnginesIsPrivate(t *testing.T) {
	t.Parallel()
	b := &bench{vars: map[string]string{}}
	token := "0123456789abcdef0123456789abcdef"
	b.vars[dashboardToken] = token
	url, stop := startDashboard(t, b, "--local="+filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0")
	requirePrivate(t, strings.Fields(url)[0], token)
	stop()
}

func TestCancelEndsARunWithinSeconds(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{Latency: time.Second})
	b.worker(t)
	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, simmarket.Tokens(40)), "--format", "json"}
	started := b.run(t, args...)
	require.Equal(t, 0, started.code, started.stderr)
	id := fmt.Sprint(row(t, started.stdout)["run_id"])
	require.Eventually(t, func() bool { return b.market.Stats().ByStatus[200] >= 4 }, time.Minute, 10*time.Millisecond)
	cancelled := b.run(t, "ohlcv", "runs-cancel", id, "--format", "json")
	require.Equal(t, 0, cancelled.code, cancelled.stderr)
	run := row(t, cancelled.stdout)
	require.Equal(t, "cancelled", run["status"])
	require.NotEqual(t, "0", fmt.Sprint(run["cancelled_chunks"]))
	require.Less(t, b.market.Stats().Requests, int64(40))
	require.Equal(t, exitRefused, b.run(t, "ohlcv", "runs-cancel", id).code, "it is over")

	again := b.run(t, append(args, "--wait")...)
	require.Equal(t, 0, again.code, again.stderr)
	require.Equal(t, "completed", row(t, again.stdout)["status"])
}

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/clickhousetest"
	"quantbot/internal/local"
	"quantbot/internal/local/localtest"
	"quantbot/internal/simmarket"
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

// harness is what one test runs against: engines, a market, and quantbot's commands with their environment.
type harness struct {
	env    *localtest.Env
	market *simmarket.Server
	vars   map[string]string
	// present has a proxy in front of ClickHouse show another certificate.
	present func()
	// skew is how far the clock is off of the host that the commands run on.
	skew time.Duration
}

// setup makes the harness over a database that has its tables, which saves each test the time of the migrations.
func setup(t *testing.T, options simmarket.Options) *harness {
	t.Helper()
	h := setupEmpty(t, options)
	clickhousetest.Migrate(t, h.env)
	return h
}

// setupEmpty makes the harness over an empty database, as the first command of a deployment finds it.
func setupEmpty(t *testing.T, options simmarket.Options) *harness {
	t.Helper()
	options.Now = time.Now
	if options.Market == nil {
		options.Market = simmarket.NewMarket(1)
	}
	h := &harness{env: localtest.New(t), market: simmarket.NewServer(options)}
	running, err := simmarket.Listen(t.Context(), "127.0.0.1:0", h.market)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, running.Close(ctx))
	})
	h.vars = h.env.Vars()
	h.vars["BIRDEYE_BASE_URL"], h.vars["BIRDEYE_API_KEY"], h.vars["BIRDEYE_RPS"] = running.URL(), "distinctive-key", "500"
	return h
}

type result struct {
	code           int
	stdout, stderr string
}

func (h *harness) run(t *testing.T, args ...string) result {
	t.Helper()
	return h.runWithInput(t, "", args...)
}

func (h *harness) runWithInput(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr,
		now:    func() time.Time { return time.Now().Add(h.skew) },
		getenv: func(name string) string { return h.vars[name] },
	}
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	code := a.run(ctx, args)
	r := result{code, stdout.String(), stderr.String()}
	require.NotContains(t, r.stdout+r.stderr, "distinctive-key")
	return r
}

// worker starts a worker process, which ends with the test.
func (h *harness) worker(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "worker.log"))
	require.NoError(t, err)
	w := exec.Command(os.Args[0], append([]string{"worker", "--log-level", "info", "--concurrency", "4"}, args...)...)
	w.Env = append(os.Environ(), roleVariable+"=1")
	for name, value := range h.vars {
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

func (h *harness) table(name string) string { return h.env.Database + "." + name }

// number reads one number from ClickHouse.
func (h *harness) number(t *testing.T, query string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(strings.TrimSpace(h.env.ClickHouse(t, query)), 10, 64)
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

// hash is that of everything that is served.
func (h *harness) hash(t *testing.T) string {
	t.Helper()
	return h.env.ClickHouse(t, "SELECT count(), sum(cityHash64(chain, token_address, interval_seconds, timestamp, open, high, low, close, volume, volume_usd)) FROM "+h.table("ohlcv_candles"))
}

// backfill runs an input to its end with a worker on a market of this seed, and returns the run's row.
func (h *harness) backfill(t *testing.T, seed uint64, args ...string) map[string]any {
	t.Helper()
	running, err := simmarket.Listen(t.Context(), "127.0.0.1:0", simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(seed), Now: time.Now}))
	require.NoError(t, err)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, running.Close(ctx))
	}()
	h.vars["BIRDEYE_BASE_URL"] = running.URL()
	worker := h.worker(t)
	defer func() {
		require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
		_ = worker.Wait() // waited for again at the end of the test
	}()
	r := h.run(t, append([]string{"ingestion", "ohlcv", "--no-resume", "--wait", "--format", "json"}, args...)...)
	require.Equal(t, 0, r.code, r.stderr)
	return row(t, r.stdout)
}

func (h *harness) ok(t *testing.T, args ...string) result {
	t.Helper()
	r := h.run(t, args...)
	require.Equal(t, 0, r.code, r.stderr)
	return r
}

func (h *harness) latest(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(h.env.ClickHouse(t, "SELECT run_id FROM "+h.table("ohlcv_ingestion_runs")+" ORDER BY started_at DESC LIMIT 1"))
}

// winner is the run whose versions are served.
func (h *harness) winner(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(h.env.ClickHouse(t, "SELECT DISTINCT ingestion_run_id FROM "+h.table("ohlcv_candles")))
}

// sharedText is written by a command while a test reads it.
type sharedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *sharedText) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *sharedText) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *sharedText) contains(part string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Contains(s.text.String(), part)
}

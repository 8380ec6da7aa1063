package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/secret"
	"quantbot/internal/simmarket"
)

// echoing is a market that repeats the key it was sent about one token, and leads astray for another.
type echoing struct {
	market                http.Handler
	echoed, strayed, host string
}

func (e *echoing) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("X-API-KEY")
	switch r.URL.Query().Get("address") {
	case e.echoed:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"success":false,"message":"Invalid API key %s (%s)"}`, key, url.QueryEscape(key))
	case e.strayed:
		http.Redirect(w, r, e.host+"/?key="+url.QueryEscape(key), http.StatusTemporaryRedirect)
	default:
		e.market.ServeHTTP(w, r)
	}
}

// R11: a service that repeats the key in its errors, or sends its clients elsewhere, finds it in nothing that anybody reads
// later: output, logs, tables, keys of Redis, webhooks and pages. The other host is not asked.
func TestAnEchoedKeyIsNowhere(t *testing.T) {
	t.Parallel()
	const key = "distinctive-key"
	tokens := simmarket.Tokens(3)
	h := setup(t, simmarket.Options{})
	elsewhere := newRecorder(t)
	service := httptest.NewServer(&echoing{market: h.market, echoed: tokens[0].Address, strayed: tokens[1].Address, host: elsewhere.URL})
	t.Cleanup(service.Close)
	hook := newRecorder(t)
	h.vars["BIRDEYE_BASE_URL"] = service.URL + "/simulated"
	h.vars["QUANTBOT_ALERT_WEBHOOK_URL"] = hook.URL
	h.worker(t)

	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	require.Eventually(t, func() bool { return strings.Contains(hook.said(), "chunks failed") }, time.Minute, 20*time.Millisecond)
	id, ok := row(t, r.stdout)["run_id"].(string)
	require.True(t, ok)
	h.ok(t, "ohlcv", "runs-details", id, "--tasks") // its output is looked at by run

	written := h.tables(t) + h.redisValues(t)
	require.Contains(t, written, "Invalid API key", "the reason is kept")
	require.NotContains(t, written, key)
	require.NotContains(t, hook.said(), key)
	require.Empty(t, elsewhere.said())
	require.NotContains(t, pages(t, h, "/", "/runs/"+id, "/fleet", "/coverage", "/quality", "/queues/api/queues/ingest/archived_tasks"), key)
}

// R11: a store that repeats the key in its errors does not bring it into what shows why a run waits: --wait, runs-details, the
// ledger, the metric, doctor and the run's page; nor into the worker's log.
func TestAKeyThatTheStoreRepeatsIsNowhere(t *testing.T) {
	t.Parallel()
	const key = "distinctive-key"
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	h.env.ClickHouse(t, "ALTER TABLE "+h.table("ohlcv_candle_versions")+" ADD CONSTRAINT `"+key+"` CHECK 0")
	p := h.watched(t, nil)
	p.start(t, 3)
	p.requireSaid(t, "clickhouse", "other", "Constraint `***`")
	require.False(t, p.waiting.contains(key))
	require.NotContains(t, p.run(t, "doctor").stdout, key)
	require.NotContains(t, get(p.page+"/runs/"+p.runID)+get(p.page+"/fleet")+get(p.metrics), key)
	require.NotContains(t, h.redisValues(t)+h.tables(t), key)
}

// recorder is a server that remembers what it is sent.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	text strings.Builder
}

func newRecorder(t *testing.T) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, request *http.Request) {
		body, _ := io.ReadAll(request.Body)
		r.mu.Lock()
		defer r.mu.Unlock()
		fmt.Fprintln(&r.text, request.URL, request.Header, string(body))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *recorder) said() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.String()
}

// tables are all rows of all tables and views of the test's database.
func (h *harness) tables(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	names := h.env.ClickHouse(t, "SELECT name FROM system.tables WHERE database = '"+h.env.Database+"' AND engine != 'View' FORMAT TSV")
	for _, name := range strings.Fields(names) {
		all.WriteString(h.env.ClickHouse(t, "SELECT * FROM "+h.table(name)+" FORMAT JSONEachRow"))
	}
	return all.String()
}

// redisValues are all keys of the test's Redis with what they hold.
func (h *harness) redisValues(t *testing.T) string {
	t.Helper()
	settings, err := config.ParseRedis(secret.Text(h.env.RedisURL))
	require.NoError(t, err)
	client, ok := settings.MakeRedisClient().(redis.UniversalClient)
	require.True(t, ok)
	defer client.Close()
	ctx := t.Context()
	var all strings.Builder
	keys := client.Scan(ctx, 0, "*", 1000).Iterator()
	for keys.Next(ctx) {
		key := keys.Val()
		kind, err := client.Type(ctx, key).Result()
		require.NoError(t, err)
		read := map[string]func() any{
			"string": func() any { return client.Get(ctx, key).Val() },
			"hash":   func() any { return client.HGetAll(ctx, key).Val() },
			"list":   func() any { return client.LRange(ctx, key, 0, -1).Val() },
			"set":    func() any { return client.SMembers(ctx, key).Val() },
			"zset":   func() any { return client.ZRange(ctx, key, 0, -1).Val() },
			"none":   func() any { return nil }, // it has expired meanwhile
		}[kind]
		require.NotNil(t, read, kind)
		fmt.Fprintln(&all, key, read())
	}
	require.NoError(t, keys.Err())
	return all.String()
}

// pages are the bodies of the dashboard's pages.
func pages(t *testing.T, h *harness, paths ...string) string {
	t.Helper()
	address, stop := startDashboard(t, h, "--listen", "127.0.0.1:0")
	defer stop()
	var all strings.Builder
	for _, path := range paths {
		response, err := http.Get(address + path)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, http.StatusOK, response.StatusCode, path)
		all.Write(body)
	}
	return all.String()
}

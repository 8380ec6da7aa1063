package cli

import (
	"context"
	"fmt"
	"html"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"quantbot/internal/manifest"
	"quantbot/internal/metrics"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
	"quantbot/internal/wiring/dashboardwiring"
)

// outageProxy stands in front of a server and can be away: connections are refused then, or, while it hangs, nothing comes
// back.
type outageProxy struct {
	server, address string

	mu       sync.Mutex
	listener net.Listener
	hangs    bool
	open     map[net.Conn]struct{}
	serving  sync.WaitGroup
}

func newOutageProxy(t *testing.T, server string) *outageProxy {
	t.Helper()
	p := &outageProxy{server: server, open: make(map[net.Conn]struct{}), address: "127.0.0.1:0"}
	p.back(t)
	t.Cleanup(p.away)
	return p
}

// back lets connections through again, at the same address.
func (p *outageProxy) back(t *testing.T) {
	t.Helper()
	listener, err := net.Listen("tcp", p.address)
	require.NoError(t, err)
	p.mu.Lock()
	p.listener, p.address, p.hangs = listener, listener.Addr().String(), false
	p.mu.Unlock()
	p.serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			p.serving.Go(func() { p.serve(client) })
		}
	})
}

// away refuses connections and cuts those that are open.
func (p *outageProxy) away() {
	p.mu.Lock()
	_ = p.listener.Close()
	for conn := range p.open {
		_ = conn.Close()
	}
	p.mu.Unlock()
	p.serving.Wait()
}

// hang accepts connections and says nothing, on those that are open either.
func (p *outageProxy) hang() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hangs = true
}

func (p *outageProxy) silent() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.hangs
}

func (p *outageProxy) keep(conns ...net.Conn) (forget func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		p.open[conn] = struct{}{}
	}
	return func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, conn := range conns {
			_ = conn.Close()
			delete(p.open, conn)
		}
	}
}

func (p *outageProxy) serve(client net.Conn) {
	upstream, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	defer p.keep(client, upstream)()
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(upstream, client) // ends when either side is closed
		_ = upstream.Close()
	})
	p.answer(client, upstream)
	_ = client.Close()
	there.Wait()
}

// answer passes on what the server says until the proxy hangs: then what it says goes nowhere.
func (p *outageProxy) answer(client, upstream net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := upstream.Read(buffer)
		if n > 0 && !p.silent() {
			if _, err := client.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil && !p.silent() {
			return
		}
		if err != nil { // who hangs does not hang up either
			_, _ = io.Copy(io.Discard, client)
			return
		}
	}
}

// proxies puts proxies in front of all that a deployment needs.
type proxies struct{ redis, clickhouse, market *outageProxy }

func (h *harness) behindProxies(t *testing.T) proxies {
	t.Helper()
	redisURL, err := url.Parse(h.vars["REDIS_URL"])
	require.NoError(t, err)
	marketURL, err := url.Parse(h.vars["BIRDEYE_BASE_URL"])
	require.NoError(t, err)
	p := proxies{
		redis: newOutageProxy(t, redisURL.Host), market: newOutageProxy(t, marketURL.Host),
		clickhouse: newOutageProxy(t, net.JoinHostPort(h.env.Host, strconv.Itoa(h.env.NativePort))),
	}
	redisURL.Host, marketURL.Host = p.redis.address, p.market.address
	h.vars["REDIS_URL"], h.vars["BIRDEYE_BASE_URL"] = redisURL.String(), marketURL.String()
	host, port, err := net.SplitHostPort(p.clickhouse.address)
	require.NoError(t, err)
	h.vars["CLICKHOUSE_HOST"], h.vars["CLICKHOUSE_PORT"] = host, port
	return p
}

// outage is a way in which a deployment stands still.
type outage struct {
	name string
	// sentence is how what is said of it begins, everywhere.
	sentence string
	// on and reason are the labels of the metric.
	on, reason string
	// vars are the worker's own; nil = no worker is there.
	vars func(t *testing.T, h *harness) map[string]string
	// begin is the outage, before the run, or after its start where a run cannot be started in it.
	begin func(t *testing.T, h *harness, p proxies)
	after bool
}

func sameVars(*testing.T, *harness) map[string]string { return map[string]string{} }

const moment = `\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ`

func tenOutages() []outage {
	takesNothing := func(reason string) string { return "clickhouse takes nothing since " + moment + ` \(` + reason + `\)` }
	return []outage{
		{name: "disk full", sentence: takesNothing("disk"), on: "clickhouse", reason: "disk", vars: sameVars, begin: func(t *testing.T, h *harness, _ proxies) {
			h.env.ClickHouse(t, "ALTER TABLE "+h.table("ohlcv_candle_versions")+" MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000000")
		}},
		{name: "rights", sentence: takesNothing("rights"), on: "clickhouse", reason: "rights", vars: func(_ *testing.T, h *harness) map[string]string {
			return map[string]string{"CLICKHOUSE_DSN": h.dsn(h.env.Host, h.env.NativePort, "readonly=2")}
		}},
		{name: "memory", sentence: takesNothing("memory"), on: "clickhouse", reason: "memory", vars: func(t *testing.T, h *harness) map[string]string {
			h.env.ClickHouse(t, "ALTER TABLE "+h.table("ohlcv_candle_versions")+
				" MODIFY SETTING min_bytes_for_wide_part = 0, min_rows_for_wide_part = 0, max_compress_block_size = 67108864")
			return map[string]string{"CLICKHOUSE_DSN": h.dsn(h.env.Host, h.env.NativePort, "max_memory_usage=30000000&max_untracked_memory=1")}
		}},
		{name: "certificate", sentence: takesNothing("certificate"), on: "clickhouse", reason: "certificate", vars: func(t *testing.T, h *harness) map[string]string {
			ours, authority := newCertificate(t)
			stranger, _ := newCertificate(t)
			proxy := newTLSProxy(t, net.JoinHostPort(h.env.Host, strconv.Itoa(h.env.NativePort)), ours)
			h.present = func() { proxy.show(stranger) }
			return map[string]string{"SSL_CERT_FILE": authority, "CLICKHOUSE_DSN": h.dsn("127.0.0.1", proxy.port, "secure=true")}
		}, begin: func(_ *testing.T, h *harness, _ proxies) { h.present() }},
		{name: "ClickHouse away", sentence: "clickhouse cannot be reached since " + moment, on: "clickhouse", reason: "unreachable", vars: sameVars, after: true,
			begin: func(_ *testing.T, _ *harness, p proxies) { p.clickhouse.away() }},
		{name: "Redis away", sentence: "redis cannot be reached since " + moment, on: "redis", reason: "unreachable", vars: sameVars, after: true,
			begin: func(_ *testing.T, _ *harness, p proxies) { p.redis.away() }},
		{name: "market gone", sentence: "birdeye answers nobody since " + moment, on: "birdeye", reason: "source_down", vars: sameVars,
			begin: func(_ *testing.T, _ *harness, p proxies) { p.market.away() }},
		{name: "market hangs", sentence: "no answer from birdeye since " + moment, on: "birdeye", reason: "no_answer", vars: sameVars,
			begin: func(_ *testing.T, _ *harness, p proxies) { p.market.hang() }},
		{name: "quota parked", sentence: "birdeye is parked until " + moment + `: its quota is used up \(sources-unpark birdeye\)`, on: "birdeye", reason: "parked", vars: sameVars,
			begin: func(_ *testing.T, h *harness, _ proxies) { h.market.SetFaults([]simmarket.Fault{{Kind: "quota"}}) }},
		{name: "no worker", sentence: "no worker is running: start one with `worker`, on any machine that reaches Redis and ClickHouse", on: "worker", reason: "no_worker"},
	}
}

// watchedDashboard is a dashboard with its metrics, as the command serves it.
func (h *harness) watchedDashboard(t *testing.T) string {
	t.Helper()
	cfg, err := register.LoadConfig(func(name string) string { return h.vars[name] })
	require.NoError(t, err)
	quiet := slog.New(slog.DiscardHandler)
	stores, err := wiring.OpenStores(t.Context(), cfg, quiet)
	require.NoError(t, err)
	m := wiring.NewMetrics(stores, cfg, manifest.CurrentBuild(), nil, time.Now)
	m.WatchWaits(stores.Fleet.WaitsForMetrics(time.Now), time.Now)
	d, release, err := dashboardwiring.New(cfg, stores, dashboardwiring.Options{Metrics: metrics.Handler(m.Registry()), Logger: quiet, Now: time.Now})
	require.NoError(t, err)
	server := httptest.NewServer(d)
	t.Cleanup(func() {
		server.Close()
		d.Close()
		_ = release()      // what it reached may be away
		_ = stores.Close() // the same
	})
	return server.URL
}

// follow runs a command that waits, and returns what it says.
func (h *harness) follow(t *testing.T, args ...string) *sharedText {
	t.Helper()
	says := &sharedText{}
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: says, now: time.Now, getenv: func(name string) string { return h.vars[name] }}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	t.Cleanup(func() { stop(); <-ended })
	go func() { defer close(ended); a.run(ctx, args) }()
	return says
}

// lookEvery is how often a test that waits runs a whole command or loads a page: more often, that alone would keep the machine busy.
const lookEvery = 500 * time.Millisecond

// Ten outages, each said in the same sentence in every place where people look; -v prints the table.
func TestTenOutagesAreSaidTheSameEverywhere(t *testing.T) {
	t.Parallel()
	for _, o := range tenOutages() {
		t.Run(o.name, func(t *testing.T) {
			t.Parallel()
			h := setup(t, simmarket.Options{Latency: 500 * time.Millisecond})
			h.ok(t, "migrate")
			proxies := h.behindProxies(t)
			page := h.watchedDashboard(t)
			if o.vars != nil {
				own := *h
				own.vars = maps.Clone(h.vars)
				maps.Copy(own.vars, o.vars(t, h))
				worker := own.worker(t)
				t.Cleanup(func() { _ = worker.Process.Kill() }) // in order, it would wait for the store for as long as it may
				require.Eventually(t, func() bool { return strings.Contains(h.run(t, "doctor").stdout, "1 worker running") }, seenWithin, lookEvery)
			}
			if o.begin != nil && !o.after {
				o.begin(t, h, proxies)
			}
			waiting := h.follow(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, simmarket.Tokens(400)), "--wait")
			var id string
			require.Eventually(t, func() bool {
				id = strings.TrimSpace(h.env.ClickHouse(t, "SELECT run_id FROM "+h.table("ohlcv_ingestion_runs")+" WHERE status = 'running'"))
				return id != ""
			}, seenWithin, 50*time.Millisecond)
			watching := h.follow(t, "ohlcv", "runs-watch", id)
			require.Eventually(t, func() bool { return waiting.contains("run " + id) }, seenWithin, 50*time.Millisecond)
			if o.after { // once both watch: what cannot be started has nothing to wait for
				require.Eventually(t, func() bool { return watching.String() != "" && waiting.contains("chunks") }, seenWithin, 50*time.Millisecond)
				o.begin(t, h, proxies)
			}
			h.requireSaidEverywhere(t, o, id, page, waiting, watching)
		})
	}
}

// requireSaidEverywhere looks until each place has said the outage's sentence.
func (h *harness) requireSaidEverywhere(t *testing.T, o outage, id, page string, waiting, watching *sharedText) {
	t.Helper()
	command := func(args ...string) func() string {
		return func() string { r := h.run(t, args...); return r.stdout + r.stderr }
	}
	places := map[string]func() string{
		"--wait": waiting.String, "runs-watch": watching.String,
		"runs-details": command("ohlcv", "runs-details", id), "runs-list": command("ohlcv", "runs-list"), "doctor": command("doctor"),
		"the run's page":       func() string { return html.UnescapeString(get(page + "/runs/" + id)) },
		"the dashboard's list": func() string { return html.UnescapeString(get(page + "/")) },
		"the fleet's page":     func() string { return html.UnescapeString(get(page + "/fleet")) },
	}
	measured := regexp.MustCompile(fmt.Sprintf(`quantbot_waiting_seconds\{on=%q,reason=%q\} (?:[1-9]|0\.)\S*`, o.on, o.reason))
	places["the metric"] = func() string { return measured.FindString(get(page + "/metrics")) }
	said := regexp.MustCompile(`(?i)(` + o.sentence + `|` + measured.String() + `)[^\n<]*`)
	began := time.Now()
	var mu sync.Mutex
	var looking sync.WaitGroup
	found := make(map[string]string)
	for name, text := range places { // beside one another: a command takes seconds while a store is away
		looking.Go(func() {
			var sentence string
			assert.Eventually(t, func() bool { sentence = said.FindString(text()); return sentence != "" }, 2*time.Minute, lookEvery, name)
			mu.Lock()
			defer mu.Unlock()
			if sentence != "" {
				found[name] = fmt.Sprintf("%4.1f s  %.150s", time.Since(began).Seconds(), sentence)
			}
		})
	}
	looking.Wait()
	for _, name := range slices.Sorted(maps.Keys(found)) {
		t.Logf("| %s | %s | %s |", o.name, name, found[name])
	}
	for name, text := range places {
		if found[name] == "" {
			t.Errorf("not said by %s:\n%.1500s", name, text())
		}
	}
}

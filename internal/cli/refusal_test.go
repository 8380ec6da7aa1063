package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
	"quantbot/internal/wiring/dashboardwiring"
)

// seenWithin is how soon everybody who looks must see why a run waits.
const seenWithin = time.Minute

// places are where people look for what a run waits for.
type places struct {
	*harness
	metrics, page string
	waiting       *sharedText // what --wait says
	code          chan int
	runID         string
}

// dsn is the worker's own way to the test's database.
func (h *harness) dsn(host string, port int, settings string) string {
	dsn := url.URL{
		Scheme: "clickhouse", User: url.UserPassword(h.vars["CLICKHOUSE_USER"], h.vars["CLICKHOUSE_PASSWORD"]),
		Host: net.JoinHostPort(host, strconv.Itoa(port)), Path: h.env.Database, RawQuery: settings,
	}
	return dsn.String()
}

// watched starts a worker with variables of its own, and a dashboard.
func (h *harness) watched(t *testing.T, vars map[string]string) *places {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	own := *h
	own.vars = maps.Clone(h.vars)
	maps.Copy(own.vars, vars)
	cfg, err := register.LoadConfig(func(name string) string { return h.vars[name] })
	require.NoError(t, err)
	stores, err := wiring.OpenStores(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	d, release, err := dashboardwiring.New(cfg, stores, dashboardwiring.Options{Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	require.NoError(t, err)
	server := httptest.NewServer(d)
	t.Cleanup(func() {
		server.Close()
		d.Close()
		require.NoError(t, release())
		require.NoError(t, stores.Close())
	})
	worker := own.worker(t, "--metrics-addr", address)
	t.Cleanup(func() { _ = worker.Process.Kill() }) // in order, it would wait for the store for as long as it may
	return &places{harness: h, metrics: "http://" + address + "/metrics", page: server.URL}
}

// start launches a run of some tokens and waits for it.
func (p *places) start(t *testing.T, tokens int) {
	t.Helper()
	p.waiting, p.code = &sharedText{}, make(chan int, 1)
	a := &app{stdin: strings.NewReader(""), stdout: io.Discard, stderr: p.waiting, now: time.Now, getenv: func(name string) string { return p.vars[name] }}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	t.Cleanup(func() { stop(); <-ended })
	list := writeTokens(t, simmarket.Tokens(tokens))
	go func() {
		defer close(ended)
		p.code <- a.run(ctx, []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", list, "--wait"})
	}()
	running := func() bool {
		id := p.env.ClickHouse(t, "SELECT run_id FROM "+p.table("ohlcv_ingestion_runs")+" WHERE status = 'running'")
		p.runID = strings.TrimSpace(id)
		return p.runID != ""
	}
	require.Eventually(t, running, seenWithin, 50*time.Millisecond)
}

// requireSaid looks everywhere until each place has named the reason.
func (p *places) requireSaid(t *testing.T, on, reason, says string) {
	t.Helper()
	began := time.Now()
	silent := map[string]func() bool{
		"--wait":       func() bool { return p.waiting.contains("waiting: ") && p.waiting.contains(says) },
		"runs-details": func() bool { return strings.Contains(p.ok(t, "ohlcv", "runs-details", p.runID).stdout, says) },
		"the page":     func() bool { return strings.Contains(get(p.page+"/runs/"+p.runID), says) },
		"the metric": func() bool {
			for line := range strings.Lines(get(p.metrics)) {
				if value, ok := strings.CutPrefix(line, fmt.Sprintf("quantbot_waiting_seconds{on=%q,reason=%q} ", on, reason)); ok {
					return strings.TrimSpace(value) != "0"
				}
			}
			return false
		},
	}
	said := func() bool {
		maps.DeleteFunc(silent, func(_ string, look func() bool) bool { return look() })
		return len(silent) == 0
	}
	if !assert.Eventually(t, said, seenWithin, lookEvery) {
		t.Fatalf("not said by %v", slices.Collect(maps.Keys(silent)))
	}
	t.Log("said everywhere after", time.Since(began).Round(100*time.Millisecond))
	doctor := p.run(t, "doctor")
	require.Contains(t, doctor.stdout, says)
	require.Equal(t, exitFailed, doctor.code)
}

func get(address string) string {
	response, err := http.Get(address)
	if err != nil {
		return ""
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return ""
	}
	return string(body)
}

// A store that refuses is named within a minute wherever somebody looks, nothing more is bought meanwhile, and what was
// fetched is stored once it takes candles again.
func TestARefusalIsSeenEverywhere(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(t *testing.T, h *harness) (vars map[string]string, begin, end func()){
		"rights": func(_ *testing.T, h *harness) (map[string]string, func(), func()) {
			return map[string]string{"CLICKHOUSE_DSN": h.dsn(h.env.Host, h.env.NativePort, "readonly=2")}, nil, nil
		},
		"memory": func(t *testing.T, h *harness) (map[string]string, func(), func()) {
			// Reads stay below the limit; what an insert keeps in memory for each column does not.
			h.env.ClickHouse(t, "ALTER TABLE "+h.table("ohlcv_candle_versions")+
				" MODIFY SETTING min_bytes_for_wide_part = 0, min_rows_for_wide_part = 0, max_compress_block_size = 67108864")
			limits := "max_memory_usage=30000000&max_untracked_memory=1"
			return map[string]string{"CLICKHOUSE_DSN": h.dsn(h.env.Host, h.env.NativePort, limits)}, nil, nil
		},
		"disk": func(t *testing.T, h *harness) (map[string]string, func(), func()) {
			alter := "ALTER TABLE " + h.table("ohlcv_candle_versions")
			return nil, func() {
				h.env.ClickHouse(t, alter+" MODIFY SETTING min_free_disk_bytes_to_perform_insert = 1000000000000000000")
			}, func() { h.env.ClickHouse(t, alter+" RESET SETTING min_free_disk_bytes_to_perform_insert") }
		},
		"certificate": func(t *testing.T, h *harness) (map[string]string, func(), func()) {
			ours, authority := newCertificate(t)
			stranger, _ := newCertificate(t)
			proxy := newTLSProxy(t, net.JoinHostPort(h.env.Host, strconv.Itoa(h.env.NativePort)), ours)
			return map[string]string{"SSL_CERT_FILE": authority, "CLICKHOUSE_DSN": h.dsn("127.0.0.1", proxy.port, "secure=true")},
				func() { proxy.show(stranger) }, func() { proxy.show(ours) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const tokens = 12
			day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
			h := setup(t, simmarket.Options{})
			h.ok(t, "migrate")
			vars, begin, end := refuse(t, h)
			p := h.watched(t, vars)
			if begin != nil {
				require.Eventually(t, func() bool { return get(p.metrics) != "" }, seenWithin, 50*time.Millisecond, "the worker has started")
				begin()
			}
			p.start(t, tokens)
			p.requireSaid(t, "clickhouse", name, "clickhouse takes nothing since ")
			bought := h.market.Stats().Requests
			// Each of the worker's slots has what it fetched in hand. Tokens without candles have nothing to store: they end
			// before the gate closes, or not, as it happens.
			empty := 0
			for _, token := range simmarket.Tokens(tokens) {
				if truth(simmarket.NewMarket(1), []candle.Token{token}, day) == 0 {
					empty++
				}
			}
			require.Less(t, empty, tokens/2)
			require.LessOrEqual(t, bought, int64(4+empty), "four slots, and %d tokens without candles", empty)
			p.requireSaid(t, "clickhouse", name, "("+name+")")
			require.Equal(t, bought, h.market.Stats().Requests)
			if end == nil {
				return
			}
			end()
			require.Equal(t, 0, <-p.code, "the run ends by itself")
			require.EqualValues(t, tokens, h.market.Stats().Requests, "nothing was bought twice")
			require.NotContains(t, h.ok(t, "ohlcv", "runs-details", p.runID).stdout, "takes nothing")
		})
	}
}

// Whoever plans a run with a user that may only read learns it before it is started, and whoever starts it at once.
func TestAnEnqueuerThatMayOnlyReadGetsOneSentence(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	h.vars["CLICKHOUSE_DSN"] = h.dsn(h.env.Host, h.env.NativePort, "readonly=2")
	input := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address}
	require.Contains(t, h.ok(t, append(input, "--dry-run")...).stderr, "may only read")
	require.Contains(t, h.run(t, input...).stderr, "may only read")
}

// A source that answers nobody is named as well, by those who ask for sources, too.
func TestASourceThatAnswersNobodyIsSeen(t *testing.T) {
	t.Parallel()
	for kind, reason := range map[string]string{"500": "source_down", "slow": "no_answer"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: kind, Delay: 28 * time.Second}}}) // below the timeout
			h.ok(t, "migrate")
			p := h.watched(t, nil)
			p.start(t, 6)
			says := "birdeye answers nobody since "
			if kind == "slow" {
				says = "no answer from birdeye since "
			}
			p.requireSaid(t, "birdeye", reason, says)
			sources := h.ok(t, "ohlcv", "sources")
			require.Contains(t, sources.stdout, says)
			require.NotContains(t, sources.stdout, "ready")
			require.Contains(t, get(p.page+"/fleet"), says)
			h.market.SetFaults(nil)
			require.Equal(t, 0, <-p.code)
			ready := func() bool { return strings.Contains(h.ok(t, "ohlcv", "sources").stdout, "ready") }
			require.Eventually(t, ready, seenWithin, lookEvery)
		})
	}
}

// A pause of minutes, because the source said so, looks like a run that stands still: it is named, with its end.
func TestAPauseOfMinutesIsSeen(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "429", RetryAfter: 240}}})
	h.ok(t, "migrate")
	p := h.watched(t, nil)
	p.start(t, 3)
	const says = "birdeye said that it was asked too fast and is left alone until "
	require.Eventually(t, func() bool { return p.waiting.contains("waiting: " + says) }, seenWithin, 50*time.Millisecond)
	require.Contains(t, h.ok(t, "ohlcv", "runs-details", p.runID).stdout, says)
	require.Contains(t, h.ok(t, "ohlcv", "runs-list").stdout, "waits: "+says)
	require.Contains(t, get(p.page+"/runs/"+p.runID), says)
	require.Contains(t, h.ok(t, "doctor").stdout, says)
	h.market.SetFaults(nil)
	h.ok(t, "ohlcv", "sources-unpark", "birdeye")
	require.Equal(t, 0, <-p.code)
}

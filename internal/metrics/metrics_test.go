package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/metrics"
)

// scrape returns the lines of the metrics of ours, without comments.
func scrape(t *testing.T, m *metrics.Metrics) map[string]string {
	t.Helper()
	recorder := httptest.NewRecorder()
	metrics.Handler(m.Registry()).ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, recorder.Code)
	values := make(map[string]string)
	for line := range strings.Lines(recorder.Body.String()) {
		if name, value, found := strings.Cut(strings.TrimSpace(line), " "); found && strings.HasPrefix(name, "quantbot_") {
			values[name] = value
		}
	}
	return values
}

type keeping struct {
	backfill.FillLedger
	recorded backfill.Recorded
	err      error
}

func (k keeping) Record(context.Context, backfill.Task, int64, backfill.Outcome) (backfill.Recorded, error) {
	return k.recorded, k.err
}

func TestOutcomesAreCountedOnce(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", "abc")
	began := time.Unix(1_700_000_000, 0)
	success := backfill.Outcome{
		Status: backfill.OutcomeSuccess, Source: "birdeye", StartedAt: began, EndedAt: began.Add(3 * time.Second),
		Stats: backfill.Stats{Fetched: 10, Inserted: 7, Rejected: 2, Deduplicated: 1, Dropped: 4},
	}
	failed := backfill.Outcome{Status: backfill.OutcomeFailed, Source: "birdeye", Stats: backfill.Stats{APICalls: 3}}
	record := func(k keeping, o backfill.Outcome) {
		_, err := m.FillLedger(k).Record(t.Context(), backfill.Task{}, 1, o)
		require.Equal(t, k.err, err)
	}
	record(keeping{recorded: backfill.Recorded{Kept: true}}, success)
	record(keeping{}, success)
	record(keeping{recorded: backfill.Recorded{Kept: true}, err: errors.New("away")}, success)
	record(keeping{recorded: backfill.Recorded{Kept: true}}, failed)
	got := scrape(t, m)
	for name, want := range map[string]string{
		`quantbot_candles_total{outcome="inserted",source="birdeye"}`:     "7",
		`quantbot_candles_total{outcome="rejected",source="birdeye"}`:     "2",
		`quantbot_candles_total{outcome="deduplicated",source="birdeye"}`: "1",
		`quantbot_candles_total{outcome="dropped",source="birdeye"}`:      "4",
		`quantbot_chunks_total{outcome="success",source="birdeye"}`:       "1",
		`quantbot_chunks_total{outcome="failed",source="birdeye"}`:        "1",
		`quantbot_chunk_duration_seconds_sum{source="birdeye"}`:           "3",
		`quantbot_chunk_duration_seconds_count{source="birdeye"}`:         "1",
	} {
		require.Equal(t, want, got[name], name)
	}
}

func TestRequestsWaitsInsertsRepairsAndAlerts(t *testing.T) {
	t.Parallel()
	m := metrics.New("v1", "abc")
	for _, status := range []int{200, 204, 429, 503, 0, 999} {
		m.Requested("binance", status, time.Second)
	}
	m.Waiting("binance")()
	m.Paused("binance")
	m.Parked("binance")
	m.Inserting(5_000)(nil)
	m.Inserting(70)(errors.New("away"))
	m.Repaired(backfill.RepairOrphan, 3)
	m.Alerted("run_failed", true)
	m.Alerted("run_failed", false)
	got := scrape(t, m)
	for name, want := range map[string]string{
		`quantbot_source_requests_total{source="binance",status="2xx"}`:         "2",
		`quantbot_source_requests_total{source="binance",status="4xx"}`:         "1",
		`quantbot_source_requests_total{source="binance",status="5xx"}`:         "1",
		`quantbot_source_requests_total{source="binance",status="none"}`:        "2",
		`quantbot_source_request_duration_seconds_sum{source="binance"}`:        "6",
		`quantbot_budget_wait_seconds_count{source="binance"}`:                  "1",
		`quantbot_budget_pauses_total{source="binance"}`:                        "1",
		`quantbot_budget_parks_total{source="binance"}`:                         "1",
		`quantbot_insert_duration_seconds_count`:                                "2",
		`quantbot_insert_rows_sum`:                                              "5000",
		`quantbot_insert_failures_total`:                                        "1",
		`quantbot_reconciler_actions_total{action="orphan_reassigned"}`:         "3",
		`quantbot_alert_deliveries_total{kind="run_failed",result="delivered"}`: "1",
		`quantbot_alert_deliveries_total{kind="run_failed",result="failed"}`:    "1",
	} {
		require.Equal(t, want, got[name], name)
	}
}

// Values of the stores are asked for now and then, shown for a while when the store is away, and not for ever.
func TestTheStoresAreNotAskedAtEveryScrape(t *testing.T) {
	t.Parallel()
	now, asked, away := time.Unix(1_700_000_000, 0), 0, false
	m := metrics.New("v1", "abc")
	m.Watch(metrics.State{
		Runs: func(ctx context.Context) (metrics.RunCounts, error) {
			asked++
			if _, bounded := ctx.Deadline(); !bounded || away {
				return metrics.RunCounts{}, errors.New("away")
			}
			return metrics.RunCounts{ByStatus: map[backfill.RunStatus]int64{backfill.StatusFailed: int64(asked)}, Faulty: 2}, nil
		},
		Accounts: func(context.Context) ([]metrics.AccountCount, error) {
			return []metrics.AccountCount{{Source: "birdeye", State: "parked", Count: 1}}, nil
		},
		SweptAt: func(context.Context) (time.Time, error) { return time.Time{}, nil },
		Leases:  func() int { return 4 },
		Now:     func() time.Time { return now },
	})
	failed := func() string { return scrape(t, m)[`quantbot_runs{status="failed"}`] }
	require.Equal(t, "1", failed())
	require.Equal(t, "1", failed())
	now = now.Add(2 * time.Minute)
	require.Equal(t, "2", failed())
	away = true
	now = now.Add(2 * time.Minute)
	require.Equal(t, "2", failed(), "the last value, for a while")
	now = now.Add(10 * time.Minute)
	require.Empty(t, failed())
	got := scrape(t, m)
	require.Equal(t, "2", got[`quantbot_collect_failures_total{collector="runs"}`])
	require.Equal(t, "1", got[`quantbot_source_accounts{source="birdeye",state="parked"}`])
	require.Equal(t, "0", got[`quantbot_sweep_last_success_timestamp_seconds`])
	require.Equal(t, "4", got[`quantbot_leases_held`])
}

func TestHealth(t *testing.T) {
	t.Parallel()
	down := errors.New("dial tcp 10.0.0.1:9000: refused")
	var redis, clickhouse error
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	mux := metrics.Mux(metrics.New("v", "c").Registry(),
		metrics.Check{Name: "redis", Ping: func(context.Context) error { return redis }},
		metrics.Check{Name: "clickhouse", Ping: func(context.Context) error { return clickhouse }})
	go func() { served <- metrics.Serve(ctx, listener, mux, slog.New(slog.DiscardHandler)) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(method, path string) (int, string) {
		request, err := http.NewRequestWithContext(t.Context(), method, "http://"+listener.Addr().String()+path, nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		return response.StatusCode, string(body)
	}
	for _, step := range []struct {
		redis, clickhouse error
		method, path      string
		status            int
		body              string
	}{
		{nil, nil, "GET", "/healthz", 200, "ok\n"},
		{nil, nil, "GET", "/readyz", 200, "redis: ok\nclickhouse: ok\n"},
		{nil, down, "GET", "/readyz", 503, "redis: ok\nclickhouse: does not answer\n"},
		{down, down, "GET", "/healthz", 200, "ok\n"},
		{nil, nil, "POST", "/metrics", 405, "Method Not Allowed\n"},
		{nil, nil, "GET", "/", 404, "404 page not found\n"},
	} {
		redis, clickhouse = step.redis, step.clickhouse
		status, body := ask(step.method, step.path)
		require.Equal(t, step.status, status, step.path)
		require.Equal(t, step.body, body, step.path)
	}
	status, body := ask("GET", "/metrics")
	require.Equal(t, 200, status)
	require.Contains(t, body, `quantbot_build_info{commit="c",go_version="go`)
	stop()
	require.NoError(t, <-served)
}

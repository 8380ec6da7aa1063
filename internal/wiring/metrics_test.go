package wiring_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// watched is a worker over real stores and a market, whose metrics are served.
type watched struct {
	*harness
	address string
}

func startWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{setup(t), freeAddress(t)}
	market, err := simmarket.Listen(t.Context(), "127.0.0.1:0", simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Now: time.Now}))
	require.NoError(t, err)
	vars := w.env.Vars()
	vars["BIRDEYE_BASE_URL"], vars["BIRDEYE_API_KEY"], vars["BIRDEYE_RPS"] = market.URL(), "key", "500"
	vars["QUANTBOT_ALERT_WEBHOOK_URL"] = market.URL()
	cfg, err := register.LoadConfig(func(name string) string { return vars[name] })
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() {
		worked <- wiring.RunWorker(ctx, wiring.WorkerConfig{
			Config: cfg, Build: manifest.CurrentBuild(), Concurrency: 2, MetricsAddr: w.address, Logger: w.logger, Now: time.Now,
			ShutdownTimeout: 5 * time.Second, SweepCron: "off",
		})
	}()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-worked)
		require.NoError(t, market.Close(context.Background()))
	})
	return w
}

// fill runs a day of three tokens to its end.
func (w *watched) fill(t *testing.T, day int) (backfill.RunRecord, []backfill.Chunk) {
	t.Helper()
	run, chunks := newRun(t, 0)
	run.Manifest.Source = "birdeye"
	from := time.Date(2025, 3, day, 0, 0, 0, 0, time.UTC).Unix()
	for _, token := range simmarket.Tokens(3) {
		run.PlannedChunks++
		chunks = append(chunks, backfill.NewChunk(token, run.Manifest.Interval, candle.Range{From: from, To: from + 86_400}))
	}
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	record := w.ended(t, run)
	require.Equal(t, backfill.StatusCompleted, record.Status)
	return record, chunks
}

// A whole worker counts what it does, in names and forms that Prometheus' own checker likes.
func TestAWorkerShowsWhatItDoes(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	record, chunks := w.fill(t, 1)
	status, ready := get(t, "http://"+w.address+"/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "redis: ok\nclickhouse: ok\n", ready)
	status, text := get(t, "http://"+w.address+"/metrics")
	require.Equal(t, http.StatusOK, status)
	for _, line := range []string{
		fmt.Sprintf(`quantbot_candles_total{outcome="inserted",source="birdeye"} %d`, record.Stats.Inserted),
		`quantbot_chunks_total{outcome="success",source="birdeye"} 3`,
		`quantbot_source_requests_total{source="birdeye",status="2xx"} 3`,
		`quantbot_budget_wait_seconds_count{source="birdeye"} 3`,
		`quantbot_budget_pauses_total{source="birdeye"} 0`,
		`quantbot_insert_rows_count `,
		`quantbot_queue_tasks{queue="ingest",state="pending"} 0`,
		`quantbot_queue_executions_total{queue="ingest",result="succeeded"} 3`,
		`quantbot_queue_tasks{queue="maintenance",state="pending"} 0`,
		`quantbot_workers 1`,
		`quantbot_runs{status="completed"} `,
		`quantbot_source_accounts{source="birdeye",state="parked"} 0`,
		`quantbot_source_accounts{source="birdeye",state="ready"} 1`,
		`quantbot_reconciler_actions_total{action="run_rebuilt"} 0`,
		`quantbot_leases_held 0`,
		`quantbot_build_info{`, `go_goroutines `, `process_resident_memory_bytes `,
	} {
		require.True(t, strings.Contains("\n"+text, "\n"+line), line) //nolint:testifylint // it would print all of the text
	}
	for _, unbounded := range []string{record.ID().String(), chunks[0].Token.Address, string(chunks[0].ID)} {
		require.False(t, strings.Contains(text, unbounded), unbounded) //nolint:testifylint // likewise
	}
	localtest.Promtool(t, bytes.NewBufferString(text), "check", "metrics")
}

// Prometheus itself reads a worker: every rule of ours can be evaluated, none calls, and each panel of the Grafana dashboard
// has something to show.
func TestPrometheusReadsAWorker(t *testing.T) {
	t.Parallel()
	w := startWatched(t)
	operator := w.Operator("test", w.logger, time.Now)
	_, err := operator.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	rules, err := filepath.Abs("../../deploy/prometheus/alerts.yml")
	require.NoError(t, err)
	prometheus := localtest.Prometheus(t, fmt.Appendf(nil, `
global: {scrape_interval: 500ms, evaluation_interval: 500ms}
rule_files: [%q]
scrape_configs: [{job_name: quantbot-worker, static_configs: [{targets: [%q]}]}]
`, rules, w.address))
	until := func(path string, holds func(answer string) bool, what string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
			status, answer := get(t, prometheus+path)
			require.Equal(t, http.StatusOK, status, answer)
			if holds(answer) {
				return
			}
			require.True(t, time.Now().Before(deadline), "%s: %s", what, answer)
		}
	}
	show := func(title, expression string) {
		t.Helper()
		query := url.Values{"query": {strings.ReplaceAll(expression, "$__rate_interval", "1m")}}
		until("/api/v1/query?"+query.Encode(), func(answer string) bool {
			return strings.Contains(answer, `"value":[`) && !strings.Contains(answer, `"NaN"`)
		}, title+": "+expression)
	}
	w.fill(t, 1)
	show("chunks of the first run", `quantbot_chunks_total{outcome="success"} == 3`)
	w.fill(t, 2) // a rate needs two values

	text, err := os.ReadFile("../../deploy/grafana/dashboards/quantbot.json")
	require.NoError(t, err)
	var dashboard struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	require.NoError(t, json.Unmarshal(text, &dashboard))
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			show(panel.Title, target.Expr)
		}
	}
	until("/api/v1/rules", func(answer string) bool {
		require.NotContains(t, answer, `"state":"firing"`)
		return strings.Count(answer, `"name":"Quantbot`) == strings.Count(answer, `"health":"ok"`)
	}, "every rule is evaluated")
}

// An address that cannot be had is reported before anything else is done.
func TestAMetricsAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	err = wiring.RunWorker(t.Context(), wiring.WorkerConfig{MetricsAddr: listener.Addr().String(), Now: time.Now})
	require.ErrorContains(t, err, "--metrics-addr")
	require.ErrorContains(t, err, "another program listens there")
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

func get(t *testing.T, url string) (status int, body string) {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, strings.NewReader(""))
	require.NoError(t, err)
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

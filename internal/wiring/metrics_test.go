package wiring_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
	"quantbot/internal/simmarket"
	"quantbot/internal/wiring"
)

// A whole worker over real stores and a market counts what it does, in names and forms that Prometheus' own checker likes.
func TestAWorkerShowsWhatItDoes(t *testing.T) {
	t.Parallel()
	w := setup(t)
	market, err := simmarket.Listen(t.Context(), "127.0.0.1:0", simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Now: time.Now}))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, market.Close(context.Background())) })
	vars := w.env.Vars()
	vars["BIRDEYE_BASE_URL"], vars["BIRDEYE_API_KEY"], vars["BIRDEYE_RPS"] = market.URL(), "key", "500"
	cfg, err := config.Load(func(name string) string { return vars[name] })
	require.NoError(t, err)
	address := freeAddress(t)
	ctx, stop := context.WithCancel(t.Context())
	worked := make(chan error, 1)
	go func() {
		worked <- wiring.RunWorker(ctx, wiring.WorkerConfig{
			Config: cfg, Build: manifest.CurrentBuild(), Concurrency: 2, MetricsAddr: address, Logger: w.logger, Now: time.Now,
			ShutdownTimeout: 5 * time.Second, SweepCron: "off",
		})
	}()
	run, chunks := newRun(t, 0)
	run.Manifest.Source = "birdeye"
	from := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC).Unix()
	for _, token := range simmarket.Tokens(3) {
		run.PlannedChunks++
		chunks = append(chunks, backfill.NewChunk(token, run.Manifest.Interval, candle.Range{From: from, To: from + 86_400}))
	}
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	record := w.ended(t, run)
	require.Equal(t, backfill.StatusCompleted, record.Status)

	status, ready := get(t, "http://"+address+"/readyz")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "redis: ok\nclickhouse: ok\n", ready)
	status, text := get(t, "http://"+address+"/metrics")
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
	for _, unbounded := range []string{run.ID().String(), chunks[0].Token.Address, string(chunks[0].ID)} {
		require.False(t, strings.Contains(text, unbounded), unbounded) //nolint:testifylint // likewise
	}
	localtest.Promtool(t, bytes.NewBufferString(text), "check", "metrics")
	stop()
	require.NoError(t, <-worked)
}

// An address that cannot be had is told before anything else is done.
func TestAMetricsAddressThatIsTaken(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	err = wiring.RunWorker(t.Context(), wiring.WorkerConfig{MetricsAddr: listener.Addr().String(), Now: time.Now})
	require.ErrorContains(t, err, "--metrics-addr")
	require.ErrorContains(t, err, "address already in use")
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

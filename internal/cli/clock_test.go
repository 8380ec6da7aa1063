package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
	"quantbot/internal/publicjson"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// skewedWorker runs a worker whose host's clock is off, until the returned function stops it.
func (h *harness) skewedWorker(t *testing.T, skew time.Duration) (stop func()) {
	t.Helper()
	cfg, err := register.LoadConfig(func(name string) string { return h.vars[name] })
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- wiring.RunWorker(ctx, wiring.WorkerConfig{
			Config: cfg, Build: manifest.CurrentBuild(), Concurrency: 4, ShutdownTimeout: 5 * time.Second, SweepCron: "off",
			Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return time.Now().Add(skew) },
		})
	}()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

// busyToken has many candles in the range.
func busyToken(t *testing.T, r candle.Range) candle.Token {
	t.Helper()
	for _, token := range simmarket.Tokens(1_000) {
		if truth(simmarket.NewMarket(1), []candle.Token{token}, r) >= r.Candles(candle.Interval1m)*8/10 {
			return token
		}
	}
	t.Fatal("no token trades all the time")
	return candle.Token{}
}

// Whatever the hosts' clocks say, the candles up to now are there, nothing of the coming hour is called empty, and coverage,
// gaps and ingestion agree.
func TestClocksOfHostsLoseNothing(t *testing.T) {
	t.Parallel()
	for name, skew := range map[string]struct{ enqueuer, worker time.Duration }{
		"enqueuer ahead, worker behind": {time.Hour, -time.Hour},
		"enqueuer behind, worker ahead": {-time.Hour, time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := setup(t, simmarket.Options{})
			began := time.Now().Truncate(time.Minute)
			token := busyToken(t, candle.Range{From: began.Add(-3 * time.Hour).Unix(), To: began.Unix()})
			stop := h.skewedWorker(t, skew.worker)
			defer stop()
			h.skew = skew.enqueuer
			run := row(t, h.ok(t, "ingestion", "ohlcv", "--token", token.Address, "--from", "-2h", "--to", "now", "--wait", "--format", "json").stdout)
			from, to := unix(t, fmt.Sprint(run["range_from"])), unix(t, fmt.Sprint(run["range_to"]))
			require.WithinRange(t, time.Unix(from, 0), began.Add(-121*time.Minute), time.Now().Add(-119*time.Minute), "two hours before now by the stores")
			require.WithinRange(t, time.Unix(to, 0), began.Add(-2*time.Minute), time.Now().Add(-time.Minute), "to what is closed by the stores")
			asked := candle.Range{From: from, To: to}
			require.Equal(t, truth(simmarket.NewMarket(1), []candle.Token{token}, asked), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
			require.Equal(t, to, h.number(t, "SELECT toUInt32(max(answered_to)) FROM "+h.table("ohlcv_ingestion_tasks")))
			started, err := time.Parse(time.RFC3339, fmt.Sprint(run["started_at"]))
			require.NoError(t, err)
			require.WithinRange(t, started, began, time.Now(), "which run is the newer one is the stores' to say")

			fixed := []string{"--from", candle.FormatTime(from), "--to", candle.FormatTime(to + 7_200), "--token", token.Address, "--format", "json"}
			var covered []tokenVerdicts
			require.NoError(t, publicjson.Unmarshal([]byte(h.ok(t, append([]string{"ohlcv", "coverage"}, fixed...)...).stdout), &covered))
			var gaps []gap
			require.NoError(t, publicjson.Unmarshal([]byte(h.ok(t, append([]string{"ohlcv", "gaps"}, fixed...)...).stdout), &gaps))
			var next estimate
			require.NoError(t, json.Unmarshal([]byte(h.ok(t, append([]string{"ingestion", "ohlcv", "--dry-run"}, fixed...)...).stdout), &next))
			later := int64(time.Since(time.Unix(to, 0)) / time.Minute) // minutes that have closed since, the settle delay included
			require.LessOrEqual(t, covered[0].Candles[coverage.NeverAsked], later)
			require.LessOrEqual(t, next.Candles, later)
			for _, g := range gaps {
				require.LessOrEqual(t, g.Candles, later, strings.TrimSpace(fmt.Sprint(g)))
			}
		})
	}
}

// Runs start when the stores say, so which of them are recent is not for the host's clock to say.
func TestSinceGoesByTheStoresClock(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	id := launchedRun(t, h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--format", "json").stdout)
	h.skew = 48 * time.Hour
	require.Contains(t, h.ok(t, "ohlcv", "runs-list", "--since=-1h", "--format", "json").stdout, id)
	require.Contains(t, h.ok(t, "ohlcv", "validate-duplicates").stdout, "No faulty runs.", "it is not stuck since two days")
	h.skew = -48 * time.Hour
	require.NotContains(t, h.ok(t, "ohlcv", "runs-list", "--since=now", "--format", "json").stdout, id)
	require.Equal(t, exitUsage, h.run(t, "ohlcv", "runs-list", "--since", "soon").code)
}

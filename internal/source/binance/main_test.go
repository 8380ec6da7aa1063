package binance

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var btc = candle.Token{Chain: candle.BinanceSpot, Address: "BTCUSDT"}

func testConfig(baseURL string) Config {
	return Config{
		BaseURL: baseURL, Account: service.Account{Budget: service.NewLocal(100_000, time.Now)}, UserAgent: "quantbot/test",
		Concurrency: 2, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

func open(t *testing.T, cfg Config) *Source {
	t.Helper()
	source, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		source.client.CloseIdleConnections()
		if source.dumps != nil {
			source.dumps.client.CloseIdleConnections()
		}
	})
	return source
}

func serve(t *testing.T, handler http.Handler) (url string) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// fetched is what a test saw of one call of Candles.
type fetched struct {
	candles []candle.Candle
	pages   int
	longest int
	calls   int64
	credits int64
	files   []backfill.File
	err     error
}

func fetch(ctx context.Context, s *Source, token candle.Token, interval candle.Interval, r candle.Range) (f fetched) {
	for page, err := range s.Candles(ctx, token, interval, r) {
		f.pages++
		f.longest = max(f.longest, len(page.Candles))
		f.calls += page.APICalls
		f.credits += page.Credits
		f.candles = append(f.candles, page.Candles...)
		f.files = append(f.files, page.Files...)
		f.err = err
	}
	return f
}

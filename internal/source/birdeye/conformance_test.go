package birdeye

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/sourcetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Token: token, Interval: candle.Interval1m,
		Open: func(t *testing.T, baseURL string) breaker.Source { return openURL(t, baseURL, time.Now) },
		Serve: func(_ *testing.T, candles []candle.Candle, disorder sourcetest.Disorder) http.Handler {
			options := simmarket.Options{Market: simmarket.NewRecordedMarket(token, candle.Interval1m, candles), KeyRequired: true, Now: time.Now}
			if disorder != sourcetest.None {
				options.Faults = []simmarket.Fault{{Kind: string(disorder)}}
			}
			return simmarket.NewServer(options)
		},
		FewestCalls: sourcetest.Ascending(pageSize, candle.Interval1m),
		Price:       price,
		BadToken:    sourcetest.Answer{Status: http.StatusNotFound, Body: `{"success":false,"message":"Not found"}`},
		Chains:      supportedChains,
		Secrets:     []string{testKey},
	})
}

// price is what the service charges for a request, by the candles asked for.
func price(r *http.Request) int64 {
	from, _ := strconv.ParseInt(r.URL.Query().Get("time_from"), 10, 64)
	to, _ := strconv.ParseInt(r.URL.Query().Get("time_to"), 10, 64)
	return credits(candle.Range{From: from, To: to + 1}.Opens(candle.Interval1m))
}

func openURL(t *testing.T, baseURL string, now func() time.Time) *Source {
	t.Helper()
	cfg := config(baseURL)
	cfg.Now = now
	source, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(source.client.CloseIdleConnections)
	return source
}

func openAt(t *testing.T, now func() time.Time, handler http.Handler) *Source {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return openURL(t, server.URL, now)
}

package birdeye

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "distinctive-key"

var token = candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}

func testConfig(baseURL string) Config {
	return Config{
		BaseURL: baseURL, Accounts: []service.Account{{Key: testKey, Budget: service.NewLocal(10_000, time.Now)}}, UserAgent: "quantbot/test",
		Concurrency: 2, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

func open(t *testing.T, handler http.Handler) *Source {
	t.Helper()
	return openAt(t, time.Now, handler)
}

// fetched is what a test saw of one call of Candles.
type fetched struct {
	candles []candle.Candle
	pages   int
	calls   int64
	credits int64
	err     error
}

func fetch(ctx context.Context, s *Source, interval candle.Interval, r candle.Range) fetched {
	var f fetched
	for page, err := range s.Candles(ctx, token, interval, r) {
		f.pages++
		f.calls += page.APICalls
		f.credits += page.Credits
		f.candles = append(f.candles, page.Candles...)
		f.err = err
	}
	return f
}

func TestRecordedCandlesArriveExactly(t *testing.T) {
	t.Parallel()
	file, err := os.Open("../../../../shared/data/candles.csv")
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the recorded market data is not on this machine")
	}
	require.NoError(t, err)
	defer file.Close()
	market, err := simmarket.LoadCSV(file)
	require.NoError(t, err)
	recorded := candle.Token{Chain: candle.Solana, Address: "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"}
	all := candle.Range{From: 1_700_000_000, To: 1_800_000_000}
	source := open(t, simmarket.NewServer(simmarket.Options{Market: market, Now: time.Now}))
	var got []candle.Candle
	pages := 0
	for page, err := range source.Candles(t.Context(), recorded, candle.Interval1m, all) {
		require.NoError(t, err)
		pages++
		got = append(got, page.Candles...)
	}
	require.Equal(t, 2, pages)
	require.Len(t, got, 8_281)
	require.Equal(t, market.Candles(recorded, candle.Interval1m, all), got)
}

func TestErrorsCarryTheirClass(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	html := "<!DOCTYPE html><html>no</html>"
	for name, test := range map[string]struct {
		status int
		header map[string]string
		body   string
		class  backfill.Class
		wait   time.Duration
	}{
		"bad parameter":         {400, nil, `{"success":false,"message":"Invalid request parameters or payload."}`, backfill.ClassPermanent, 0},
		"quota":                 {400, nil, `{"success":false,"message":"Compute units usage limit exceeded"}`, backfill.ClassParked, time.Hour},
		"no key":                {401, nil, `{"success":false,"message":"Unauthorized. Authentication required."}`, backfill.ClassKeyRejected, 0},
		"key refused":           {403, nil, `{"success":false,"message":"Access Denied."}`, backfill.ClassKeyRejected, 0},
		"firewall":              {403, nil, html, backfill.ClassUnavailable, 0},
		"no such token":         {404, nil, `{"success":false,"message":"Not found"}`, backfill.ClassPermanent, 0},
		"not processable":       {422, nil, `{"success":false,"message":"no"}`, backfill.ClassPermanent, 0},
		"too fast, seconds":     {429, map[string]string{"Retry-After": "60"}, `{"success":false,"message":"Too many requests"}`, backfill.ClassRateLimited, time.Minute},
		"too fast, date":        {429, map[string]string{"Retry-After": now.Add(90 * time.Second).Format(http.TimeFormat)}, "", backfill.ClassRateLimited, 90 * time.Second},
		"too fast, reset":       {429, map[string]string{"X-RateLimit-Reset": strconv.FormatInt(now.Add(5*time.Second).Unix(), 10)}, "", backfill.ClassRateLimited, 5 * time.Second},
		"too fast, no hint":     {429, nil, "", backfill.ClassRateLimited, 0},
		"too fast, absurd hint": {429, map[string]string{"Retry-After": "999999999"}, "", backfill.ClassRateLimited, service.LongestPause},
		"server error":          {500, nil, `{"success":false,"message":"Internal Server Error"}`, backfill.ClassUnavailable, 0},
		"origin down":           {521, nil, html, backfill.ClassUnavailable, 0},
		"cut JSON":              {200, nil, `{"success":true,"data":{"items":[{"unix_time":1`, backfill.ClassUnavailable, 0},
		"HTML for a success":    {200, nil, html, backfill.ClassUnavailable, 0},
		"failure with 200":      {200, nil, `{"success":false,"message":"later"}`, backfill.ClassUnavailable, 0},
		"no items":              {200, nil, `{"success":true,"data":{}}`, backfill.ClassUnavailable, 0},
		"of another month":      {200, nil, `{"success":true,"data":{"items":[{"unix_time":6000,"o":1,"h":1,"l":1,"c":1}]}}`, backfill.ClassUnavailable, 0},
		"no such token in HTML": {404, nil, html, backfill.ClassUnavailable, 0},
		"conflict in HTML":      {409, nil, html, backfill.ClassUnavailable, 0},
		"legal in HTML":         {451, nil, html, backfill.ClassUnavailable, 0},
		"a proxy's 401":         {401, nil, html, backfill.ClassUnavailable, 0},
		"somebody else's JSON":  {404, nil, `{"message":"no Route matched with those values"}`, backfill.ClassUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := openAt(t, func() time.Time { return now }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-API-KEY") != testKey || r.Header.Get("User-Agent") == "" || strings.Contains(r.URL.String(), testKey) {
					t.Error("key or user agent missing, or the key is in the URL")
				}
				w.Header()["Date"] = nil // the server's clock is not the test's
				for name, value := range test.header {
					w.Header().Set(name, value)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			f := fetch(t.Context(), source, candle.Interval1m, candle.Range{From: 0, To: 600})
			require.Error(t, f.err)
			require.Equal(t, test.class, backfill.ClassOf(f.err), f.err)
			require.Equal(t, test.wait, backfill.RetryAfter(f.err))
			require.NotContains(t, f.err.Error(), testKey)
			require.NotContains(t, f.err.Error(), "\n")
			require.EqualValues(t, 1, f.pages, "an error ends the sequence")
		})
	}
}

func TestCredits(t *testing.T) {
	t.Parallel()
	for candles, want := range map[int64]int64{1: 60, 999: 60, 1_000: 90, 2_000: 90, 2_001: 120, 5_000: 120, 20_000: 120} {
		require.Equal(t, want, credits(candles), candles)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	var status atomic.Int64
	source := open(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		from, err := strconv.ParseInt(query.Get("time_from"), 10, 64)
		require.NoError(t, err)
		to, err := strconv.ParseInt(query.Get("time_to"), 10, 64)
		require.NoError(t, err)
		require.EqualValues(t, 5*60-1, to-from, "the cheapest window")
		require.Less(t, to, time.Now().Unix())
		w.WriteHeader(int(status.Load()))
		fmt.Fprint(w, `{"success":true,"data":{"items":[]}}`)
	}))
	status.Store(http.StatusOK)
	require.NoError(t, source.Probe(t.Context()), "an answer without candles is an answer")
	status.Store(http.StatusInternalServerError)
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(source.Probe(t.Context())))
	status.Store(http.StatusTooManyRequests)
	require.Equal(t, backfill.ClassRateLimited, backfill.ClassOf(source.Probe(t.Context())))
}

// What the service does with outliers decides values: it is always asked for, and as the run wants it.
func TestOutliersAreAlwaysSaid(t *testing.T) {
	t.Parallel()
	s, err := New(Config{BaseURL: "https://example.invalid", Logger: slog.New(slog.DiscardHandler), Now: time.Now})
	require.NoError(t, err)
	for treatment, want := range map[manifest.Outliers]string{"": "true", manifest.OutliersKeep: "true", manifest.OutliersFilter: "false"} {
		asked := s.For(&manifest.Manifest{Outliers: treatment}).(*Source)
		address, _ := asked.question(wrappedSOL, candle.Interval1m, candle.Range{From: 0, To: 60})
		u, err := url.Parse(address)
		require.NoError(t, err)
		require.Equal(t, want, u.Query().Get("outlier"), "%q", treatment)
		require.Same(t, s.client, asked.client, "the connection and the budget are all runs'")
	}
}

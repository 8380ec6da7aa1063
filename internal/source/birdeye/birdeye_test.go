package birdeye

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
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
	"quantbot/internal/simmarket"
	"quantbot/internal/source/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testKey = "distinctive-key"

var token = candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}

func config(baseURL string) Config {
	return Config{
		BaseURL: baseURL, Accounts: []service.Account{{Key: testKey, Budget: service.NewLocal(10_000, time.Now)}}, UserAgent: "quantbot/test",
		Concurrency: 2, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	}
}

func open(t *testing.T, handler http.Handler) *Source {
	t.Helper()
	return openAt(t, time.Now, handler)
}

func openAt(t *testing.T, now func() time.Time, handler http.Handler) *Source {
	t.Helper()
	server := httptest.NewServer(handler)
	cfg := config(server.URL)
	cfg.Now = now
	source, err := New(cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		source.client.CloseIdleConnections()
		server.Close()
	})
	return source
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

// minutes is a market with one candle in each of n minutes from 0.
func minutes(opens ...int64) *simmarket.Market {
	var csv strings.Builder
	csv.WriteString("token_address,interval,unix_time,o,h,l,c,v_usd\n")
	for _, open := range opens {
		fmt.Fprintf(&csv, "%s,1m,%d,1,2,1,2,%d\n", token.Address, open, open+2)
	}
	market, err := simmarket.LoadCSV(strings.NewReader(csv.String()))
	if err != nil {
		panic(err)
	}
	return market
}

func run(from, count int64) []int64 {
	opens := make([]int64, count)
	for i := range opens {
		opens[i] = from + int64(i)*60
	}
	return opens
}

func TestPagesCoverTheRange(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		opens []int64
		count int64 // of minutes asked for
		pages int
	}{
		"empty":                     {nil, 100, 1},
		"less than a page":          {run(0, 4_999), 4_999, 1},
		"a page":                    {run(0, 5_000), 5_000, 1},
		"one more than a page":      {run(0, 5_001), 5_001, 2},
		"three pages":               {run(0, 12_000), 12_000, 3},
		"a hole above a page":       {append(run(0, 100), run(60*9_000, 100)...), 10_000, 1},
		"a page, then a hole":       {append(run(0, 5_000), run(60*12_000, 7)...), 13_000, 2},
		"nothing but the end":       {run(60*19_999, 1), 20_000, 1},
		"more beyond what is asked": {run(0, 300), 200, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			market := minutes(test.opens...)
			server := simmarket.NewServer(simmarket.Options{Market: market, KeyRequired: true, Now: time.Now})
			r := candle.Range{From: 0, To: test.count * 60}
			f := fetch(t.Context(), open(t, server), candle.Interval1m, r)
			require.NoError(t, f.err)
			require.Equal(t, test.pages, f.pages)
			require.EqualValues(t, test.pages, f.calls)
			want := market.Candles(token, candle.Interval1m, r)
			require.Equal(t, len(want), len(f.candles))
			for i := range want {
				require.Equal(t, want[i], f.candles[i])
			}
		})
	}
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

func TestDisorderIsPassedOnAndDoesNotStopPaging(t *testing.T) {
	t.Parallel()
	market := minutes(run(6_000, 6_000)...)
	for _, kind := range []string{"duplicate", "outside"} {
		server := simmarket.NewServer(simmarket.Options{Market: market, Faults: []simmarket.Fault{{Kind: kind}}, Now: time.Now})
		r := candle.Range{From: 6_000, To: 6_000 + 6_000*60}
		f := fetch(t.Context(), open(t, server), candle.Interval1m, r)
		require.NoError(t, f.err, kind)
		unique := map[int64]bool{}
		for _, c := range f.candles {
			if r.Contains(c.OpenTime) {
				unique[c.OpenTime] = true
			}
		}
		require.Len(t, unique, 6_000, kind)
		require.Greater(t, len(f.candles), 6_000, kind)
	}
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
		"too fast, absurd hint": {429, map[string]string{"Retry-After": "999999999"}, "", backfill.ClassRateLimited, time.Hour},
		"server error":          {500, nil, `{"success":false,"message":"Internal Server Error"}`, backfill.ClassUnavailable, 0},
		"origin down":           {521, nil, html, backfill.ClassUnavailable, 0},
		"cut JSON":              {200, nil, `{"success":true,"data":{"items":[{"unix_time":1`, backfill.ClassUnavailable, 0},
		"HTML for a success":    {200, nil, html, backfill.ClassUnavailable, 0},
		"failure with 200":      {200, nil, `{"success":false,"message":"later"}`, backfill.ClassUnavailable, 0},
		"no items":              {200, nil, `{"success":true,"data":{}}`, backfill.ClassUnavailable, 0},
		"an item without price": {200, nil, `{"success":true,"data":{"items":[{"unix_time":60,"o":1,"h":1,"l":1}]}}`, backfill.ClassUnavailable, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := openAt(t, func() time.Time { return now }, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-API-KEY") != testKey || r.Header.Get("User-Agent") == "" || strings.Contains(r.URL.String(), testKey) {
					t.Error("key or user agent missing, or the key is in the URL")
				}
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

func TestCutAndMissingAnswersAreUnavailable(t *testing.T) {
	t.Parallel()
	server := simmarket.NewServer(simmarket.Options{Market: minutes(run(0, 100)...), Faults: []simmarket.Fault{{Kind: "cut"}}, Now: time.Now})
	f := fetch(t.Context(), open(t, server), candle.Interval1m, candle.Range{From: 0, To: 6_000})
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err))

	source, err := New(config("http://user:hunter2@127.0.0.1:1"))
	require.NoError(t, err)
	f = fetch(t.Context(), source, candle.Interval1m, candle.Range{From: 0, To: 6_000})
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err))
	require.NotContains(t, f.err.Error(), "hunter2")
}

func TestInterruptionIsNoFaultOfTheService(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	source := open(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	}))
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	f := fetch(ctx, source, candle.Interval1m, candle.Range{From: 0, To: 6_000})
	require.ErrorIs(t, f.err, context.Canceled)
	require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(f.err))
}

func TestAFullPageWithoutProgressEnds(t *testing.T) {
	t.Parallel()
	var items strings.Builder
	for i := range pageSize {
		if i > 0 {
			items.WriteByte(',')
		}
		items.WriteString(`{"unix_time":60,"o":1,"h":1,"l":1,"c":1,"v":1}`)
	}
	source := open(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"success":true,"data":{"items":[` + items.String() + `]}}`))
	}))
	f := fetch(t.Context(), source, candle.Interval1m, candle.Range{From: 6_000, To: 600_000})
	require.ErrorIs(t, f.err, errNoProgress)
	require.Equal(t, 1, f.pages)
}

func TestCredits(t *testing.T) {
	t.Parallel()
	for candles, want := range map[int64]int64{1: 60, 999: 60, 1_000: 90, 2_000: 90, 2_001: 120, 5_000: 120, 20_000: 120} {
		require.Equal(t, want, credits(candles), candles)
	}
}

func TestSupports(t *testing.T) {
	t.Parallel()
	source, err := New(config("http://x"))
	require.NoError(t, err)
	require.NoError(t, source.Supports(candle.Solana, candle.Interval1d))
	require.ErrorContains(t, source.Supports(candle.Arbitrum, candle.Interval1m), "arbitrum")
}

func fullPage(tb testing.TB) []byte {
	tb.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/defi/v3/ohlcv?address="+token.Address+"&type=1m&time_from=1740000000&time_to=1750000000", nil)
	simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Now: time.Now}).ServeHTTP(recorder, request)
	return recorder.Body.Bytes()
}

func FuzzDecodePage(f *testing.F) {
	f.Add([]byte(`{"success":true,"data":{"items":[{"unix_time":60,"o":1,"h":1,"l":1,"c":1,"v":1,"v_usd":2}]}}`))
	f.Add([]byte(`{"success":false,"message":"no"}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		candles, err := decodePage(body)
		if err != nil && candles != nil {
			t.Fatal("candles beside an error")
		}
		for _, c := range candles {
			if c.OpenTime < 0 {
				t.Fatal(c)
			}
		}
	})
}

func BenchmarkDecodePage(b *testing.B) {
	body := fullPage(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		candles, err := decodePage(body)
		if err != nil || len(candles) != pageSize {
			b.Fatal(len(candles), err)
		}
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

package birdeye

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

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

func TestCredits(t *testing.T) {
	t.Parallel()
	for candles, want := range map[int64]int64{1: 60, 999: 60, 1_000: 90, 2_000: 90, 2_001: 120, 5_000: 120, 20_000: 120} {
		require.Equal(t, want, credits(candles), candles)
	}
}

func fullPage(tb testing.TB) []byte {
	tb.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/defi/v3/ohlcv?address="+token.Address+"&type=1m&time_from=1740000000&time_to=1750000000", nil)
	simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Now: time.Now}).ServeHTTP(recorder, request)
	return recorder.Body.Bytes()
}

// reference decodes with encoding/json, by reflection: slow, and right about what is JSON and what a number is.
func reference(body []byte) ([]candle.Candle, bool) {
	var a struct {
		Success bool `json:"success"`
		Data    *struct {
			Items *[]struct {
				UnixTime *int64   `json:"unix_time"`
				Open     *float64 `json:"o"`
				High     *float64 `json:"h"`
				Low      *float64 `json:"l"`
				Close    *float64 `json:"c"`
				Volume   float64  `json:"v"`
				USD      float64  `json:"v_usd"`
			} `json:"items"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &a) != nil || !a.Success || a.Data == nil || a.Data.Items == nil {
		return nil, false
	}
	candles := []candle.Candle{}
	for _, it := range *a.Data.Items {
		if it.UnixTime == nil || it.Open == nil || it.High == nil || it.Low == nil || it.Close == nil || *it.UnixTime < 0 || *it.UnixTime > math.MaxUint32 {
			return nil, false
		}
		candles = append(candles, candle.Candle{OpenTime: *it.UnixTime, Open: *it.Open, High: *it.High, Low: *it.Low, Close: *it.Close, Volume: it.Volume, VolumeUSD: it.USD})
	}
	return candles, true
}

func TestDecodePageEqualsReference(t *testing.T) {
	t.Parallel()
	item := func(price string) string {
		return `{"success":true,"data":{"items":[{"unix_time":60,"o":` + price + `,"h":1,"l":1,"c":1,"v":1,"v_usd":2,"type":"1m"}]}}`
	}
	bodies := []string{
		string(fullPage(t)), item("0"), item("-0"), item("null"), item(`"1"`), item("1e-9"), item("1E+2"), item("01"), item("1."), item(".1"), item("+1"), item("NaN"), item("1e999"),
		// Beyond 53 bits: a decoder that divides an integer by a power of ten is off by one bit.
		item("1234567890123.123456"), item("9007199254740993"), item("0.30000000000000004"), item("5e-324"), item("1.7976931348623157e308"), item("123456789012345678901234567890.5"),
		item("1") + " \n", item("1") + "x", item("1") + item("1"), item("1")[:80], "", "null", "[]", `{"success":true}`, `{"success":true,"data":null}`,
		`{"success":true,"data":{"items":null}}`, `{"success":true,"data":{"items":[]}}`, `{"success":null,"data":{"items":[]}}`, `{"data":{"items":[]},"success":true}`,
		`{"success":true,"data":{"items":[null]}}`, `{"success":true,"data":{"items":[{}]}}`, `{"success":true,"data":{"items":[{"unix_time":6e1,"o":1,"h":1,"l":1,"c":1}]}}`,
		`{"success":true,"data":{"items":[{"unix_time":4294967296,"o":1,"h":1,"l":1,"c":1}]}}`, `{"success":true,"data":{"items":[{"unix_time":60,"o":1,"h":1,"l":1,"c":1,"c":2}]}}`,
	}
	for _, body := range bodies {
		want, ok := reference([]byte(body))
		got, err := decodePage([]byte(body))
		require.Equal(t, ok, err == nil, "%.200s: %v", body, err)
		if ok {
			require.Equal(t, want, got, "%.200s", body)
		}
	}
}

// What is taken for an answer is one, and its numbers are those of the text.
func FuzzDecodePage(f *testing.F) {
	f.Add([]byte(`{"success":true,"data":{"items":[{"unix_time":60,"o":1,"h":1,"l":1,"c":1,"v":1,"v_usd":2}]}}`))
	f.Add([]byte(`{"success":false,"message":"no"}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		candles, err := decodePage(body)
		if err != nil {
			require.Nil(t, candles, "candles beside an error")
			return
		}
		if !bytes.Equal(body, bytes.ToLower(body)) || bytes.ContainsAny(body, "\\\x80") || !utf8.Valid(body) {
			t.Skip("encoding/json ignores the case of names")
		}
		want, ok := reference(body)
		require.True(t, ok, "taken for an answer")
		require.Equal(t, want, candles)
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

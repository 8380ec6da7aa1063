package binance

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/service"
	"quantbot/internal/source/sourcetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	sourcetest.Run(t, sourcetest.Suite{
		Sheet: Sheet(),
		Token: btc, Interval: candle.Interval1m,
		Open: func(t *testing.T, baseURL string) breaker.Source { return open(t, testConfig(baseURL)) },
		Serve: func(_ *testing.T, candles []candle.Candle, disorder sourcetest.Disorder) http.Handler {
			options := simmarket.Options{Market: simmarket.Recording{{Address: btc.Address, Interval: candle.Interval1m}: candles}.Market(), Now: time.Now}
			if disorder != sourcetest.None {
				options.Faults = []simmarket.Fault{{Kind: string(disorder)}}
			}
			return simmarket.NewServer(options)
		},
		FewestCalls: sourcetest.Ascending(pageSize, candle.Interval1m),
		Price:       func(*http.Request) int64 { return pageWeight },
		BadToken:    sourcetest.Answer{Status: http.StatusBadRequest, Body: `{"code":-1121,"msg":"Invalid symbol."}`},
		Foreign: map[string]func([]byte) []byte{
			"another time":     func(body []byte) []byte { return shift(body, 30*86_400_000) },
			"an earlier time":  func(body []byte) []byte { return shift(body, -30*86_400_000) },
			"another interval": func(body []byte) []byte { return bytes.ReplaceAll(body, []byte(`9999,"`), []byte(`9998,"`)) },
			"a repeated name":  func([]byte) []byte { return []byte(`{"code":0,"code":-1000,"msg":"later"}`) },
		},
		Odd: func(body []byte, item int) []byte {
			rows := bytes.SplitAfter(body, []byte("["))
			values := bytes.SplitN(rows[item+2], []byte(","), 3)
			values[1] = []byte("null")
			rows[item+2] = bytes.Join(values, []byte(","))
			return bytes.Join(rows, nil)
		},
		Chains:      []candle.Chain{candle.BinanceSpot},
		NoIntervals: []candle.Interval{candle.Interval15s},
	})
}

var rowTime = regexp.MustCompile(`\[\d+`)

// shift moves the open times of all candles.
func shift(body []byte, milliseconds int64) []byte {
	return rowTime.ReplaceAllFunc(body, func(begin []byte) []byte {
		open, _ := strconv.ParseInt(string(begin[1:]), 10, 64)
		return strconv.AppendInt([]byte("["), open+milliseconds, 10)
	})
}

// responding sends the same response to every request.
func responding(t *testing.T, status int, retryAfter, body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("User-Agent") != "quantbot/test" {
			t.Error("no user agent")
		}
		if retryAfter != "" {
			w.Header().Set("Retry-After", retryAfter)
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	})
}

func TestErrorsCarryTheirClass(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	html := "<!DOCTYPE html><html>no</html>"
	tooMuch := `{"code":-1003,"msg":"Too much request weight used; current limit is 6000 request weight per 1 MINUTE. Please use WebSocket Streams."}`
	banned := fmt.Sprintf(`{"code":-1003,"msg":"Way too much request weight used; IP banned until %d. Please use WebSocket Streams."}`, now.Add(3*time.Hour).UnixMilli())
	row := `1704067200000,"1","1","1","1","1",1704067259999,"1",1,"1","1","0"`
	for name, test := range map[string]struct {
		status     int
		retryAfter string
		body       string
		class      backfill.Class
		wait       time.Duration
		text       string
	}{
		"bad symbol":           {400, "", `{"code":-1121,"msg":"Invalid symbol."}`, backfill.ClassPermanent, 0, "Invalid symbol. (code -1121)"},
		"bad parameter":        {400, "", `{"code":-1100,"msg":"Illegal characters found in a parameter."}`, backfill.ClassPermanent, 0, "-1100"},
		"interval too long":    {400, "", `{"code":-1127,"msg":"Lookup interval is too big."}`, backfill.ClassPermanent, 0, "-1127"},
		"too fast":             {429, "17", tooMuch, backfill.ClassRateLimited, 17 * time.Second, "-1003"},
		"too fast, no hint":    {429, "", tooMuch, backfill.ClassRateLimited, 0, "-1003"},
		"too fast as a 400":    {400, "", tooMuch, backfill.ClassRateLimited, 0, "-1003"},
		"banned for a day":     {418, "86400", html, backfill.ClassRateLimited, 24 * time.Hour, "418"},
		"banned, both":         {418, "86400", banned, backfill.ClassRateLimited, 3 * time.Hour, "banned"},
		"banned, Unix time":    {418, strconv.FormatInt(now.Add(time.Hour).Unix(), 10), html, backfill.ClassRateLimited, time.Hour, "418"},
		"banned until":         {418, "", banned, backfill.ClassRateLimited, 3 * time.Hour, "banned"},
		"banned":               {418, "", html, backfill.ClassRateLimited, 2 * time.Minute, "418"},
		"banned, absurd hint":  {418, "2000000000", html, backfill.ClassRateLimited, 2 * time.Minute, "418"},
		"banned, no number":    {418, "99999999999999999999", html, backfill.ClassRateLimited, 2 * time.Minute, "418"},
		"firewall":             {403, "", html, backfill.ClassRateLimited, time.Minute, "403"},
		"firewall with a hint": {403, "600", html, backfill.ClassRateLimited, service.LongestPause, "403"},
		"busy as a 400":        {400, "", `{"code":-1008,"msg":"Server is currently overloaded."}`, backfill.ClassUnavailable, 0, "-1008"},
		"timeout as a 400":     {400, "", `{"code":-1007,"msg":"Timeout."}`, backfill.ClassUnavailable, 0, "-1007"},
		"internal as a 400":    {400, "", `{"code":-1001,"msg":"Internal error."}`, backfill.ClassUnavailable, 0, "-1001"},
		"server error":         {500, "", `{"code":-1000,"msg":"An unknown error occurred."}`, backfill.ClassUnavailable, 0, "-1000"},
		"down":                 {503, "", html, backfill.ClassUnavailable, 0, "503"},
		"error with 200":       {200, "", `{"code":-1000,"msg":"later"}`, backfill.ClassUnavailable, 0, "later"},
		"another object":       {200, "", `{}`, backfill.ClassUnavailable, 0, "no list"},
		"null":                 {200, "", `null`, backfill.ClassUnavailable, 0, "no list"},
		"numbers":              {200, "", `[1,2]`, backfill.ClassUnavailable, 0, "item 0 of the answer"},
		"a null row":           {200, "", `[null]`, backfill.ClassUnavailable, 0, "item 0 of the answer: the open time is no number"},
		"half a second":        {200, "", `[[` + strings.Replace(row, `00000,`, `00500,`, 1) + `]]`, backfill.ClassUnavailable, 0, "whole second"},
		"conflict in HTML":     {409, "", html, backfill.ClassUnavailable, 0, "409"},
		"legal in HTML":        {451, "", html, backfill.ClassUnavailable, 0, "451"},
		"not there, in HTML":   {404, "", html, backfill.ClassUnavailable, 0, "404"},
		"not there":            {404, "", `{"code":-1121,"msg":"Invalid symbol."}`, backfill.ClassPermanent, 0, "404"},
		"the newest instead":   {200, "", `[[` + row + `]]`, backfill.ClassUnavailable, 0, "none of the window"},
		"another interval":     {200, "", `[[60000,"1","1","1","1","1",359999,"1",1,"1","1","0"]]`, backfill.ClassUnavailable, 0, "close at other times"},
		"cut":                  {200, "", `[[` + row + `],[17040`, backfill.ClassUnavailable, 0, "no list"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(serve(t, responding(t, test.status, test.retryAfter, test.body)))
			cfg.Now = func() time.Time { return now }
			f := fetch(t.Context(), open(t, cfg), btc, candle.Interval1m, candle.Range{From: 0, To: 600})
			require.ErrorContains(t, f.err, test.text)
			require.Equal(t, test.class, backfill.ClassOf(f.err), f.err)
			require.Equal(t, test.wait, backfill.RetryAfter(f.err))
			require.NotContains(t, f.err.Error(), "\n")
			require.Equal(t, 1, f.pages, "an error ends the sequence")
		})
	}
}

// budget notes what it is asked for.
type budget struct {
	weights []int
	pauses  []time.Duration
}

func (b *budget) Wait(_ context.Context, weight int) error {
	b.weights = append(b.weights, weight)
	return nil
}
func (b *budget) Slow(_ context.Context, pause time.Duration) { b.pauses = append(b.pauses, pause) }
func (b *budget) Park(context.Context, time.Duration)         {}

func TestWeightUsedByOthersPausesTheAccountUntilTheMinuteTurns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		used, date string
		want       []time.Duration
	}{
		"little":             {"5400", "Thu, 01 Jan 2026 00:00:12 GMT", nil},
		"nearly all":         {"5401", "Thu, 01 Jan 2026 00:00:12 GMT", []time.Duration{48 * time.Second}},
		"at a minute's turn": {"5999", "Thu, 01 Jan 2026 00:01:00 GMT", []time.Duration{time.Minute}},
		"no date":            {"5999", "today", []time.Duration{20 * time.Second}},
		"no weight":          {"", "Thu, 01 Jan 2026 00:00:12 GMT", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := testConfig(serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-MBX-USED-WEIGHT-1M", test.used)
				w.Header().Set("Date", test.date)
				_, _ = w.Write([]byte(`[]`))
			})))
			noted := &budget{}
			cfg.Account.Budget = noted
			cfg.Now = func() time.Time { return time.Date(2026, 1, 1, 0, 0, 40, 0, time.UTC) }
			f := fetch(t.Context(), open(t, cfg), btc, candle.Interval1m, candle.Range{From: 0, To: 600})
			require.NoError(t, f.err)
			require.Equal(t, test.want, noted.pauses)
			require.Equal(t, []int{2}, noted.weights, "a page weighs 2")
			require.EqualValues(t, 2, f.credits)
		})
	}
}

func TestProbeRefusesAForeignAnswer(t *testing.T) {
	t.Parallel()
	cfg := testConfig(serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/api/v3/ping" {
			t.Error(r.URL.Path)
		}
		_, _ = w.Write([]byte("<html>Please log in to the WiFi</html>"))
	})))
	noted := &budget{}
	cfg.Account.Budget = noted
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(open(t, cfg).Probe(t.Context())))
	require.Equal(t, []int{1}, noted.weights)
}

// A volume in BTC is no volume in dollars.
func TestVolumeInDollarsOnlyWhereTheQuoteIsADollar(t *testing.T) {
	t.Parallel()
	for symbol, want := range map[string]bool{
		"BTCUSDT": true, "ETHUSDC": true, "BTCFDUSD": true, "BTCBUSD": true, "BTCTUSD": true, "ETHDAI": true, "USDCUSDT": true, "BTCUSD1": true,
		"ETHBTC": false, "BTCEUR": false, "USDTTRY": false, "BTCBRL": false, "USDT": false, "LUNAUST": false, "BNBETH": false,
	} {
		require.Equal(t, want, hasDollarQuote(symbol), symbol)
	}
	body := []byte(`[[1704067200000,"1","4","0.5","2","3",1704067259999,"6",1,"1","1","0"]]`)
	for _, dollars := range []bool{true, false} {
		candles, _, err := decodePage(body, question{candle.Interval1m, candle.Range{To: 1 << 32}, dollars})
		require.NoError(t, err)
		want := candle.Candle{OpenTime: 1_704_067_200, Open: 1, High: 4, Low: 0.5, Close: 2, Volume: 3}
		if dollars {
			want.VolumeUSD = 6
		}
		require.Equal(t, []candle.Candle{want}, candles)
	}
}

func TestNewNamesTheBadURL(t *testing.T) {
	t.Parallel()
	cfg := testConfig("nowhere")
	_, err := New(cfg)
	require.ErrorContains(t, err, "BINANCE_BASE_URL")
	cfg = testConfig("http://x")
	cfg.DumpURL = "nowhere"
	_, err = New(cfg)
	require.ErrorContains(t, err, "BINANCE_DUMP_URL")
}

// always is a question that every candle of a minute is about.
var always = question{candle.Interval1m, candle.Range{To: 1 << 32}, true}

// One row that cannot be read costs that candle, not the page.
func TestOddRowsAreDistinguished(t *testing.T) {
	t.Parallel()
	row := func(minute int) string {
		return fmt.Sprintf(`[%d,"1","1","1","1","1",%d,"1",1,"1","1","0"]`, minute*60_000, minute*60_000+59_999)
	}
	for odd, text := range map[string]string{
		strings.Replace(row(2), `"1"`, `null`, 1):   "open is null",
		strings.Replace(row(2), `"1"`, `"one"`, 1):  "open is one",
		strings.Replace(row(2), `"1"`, `"NaN"`, 1):  "open is NaN",
		strings.Replace(row(2), `"1"`, `1e999`, 1):  "open is 1e999",
		`[120000,"1","1","1"]`:                      "close is missing",
		`null`:                                      "the open time is no number",
		strings.Replace(row(2), `120000`, `"x"`, 1): "the open time is no number",
	} {
		candles, oddities, err := decodePage([]byte("["+row(1)+","+odd+","+row(3)+"]"), always)
		require.NoError(t, err, odd)
		require.Equal(t, []backfill.Oddity{{OpenTime: 120, Text: "item 1 of the answer: " + text}}, oddities)
		require.Equal(t, candle.RuleNotFinite, candle.Check(candles[1], candle.Interval1m, candle.Lenient, 1_000), odd)
		require.Equal(t, candle.RuleNone, candle.Check(candles[2], candle.Interval1m, candle.Lenient, 1_000), odd)
	}
}

func FuzzDecodePage(f *testing.F) {
	f.Add([]byte(`[[1704067200000,"1","4","0.5","2","3",1704067259999,"6",1,"1","1","0"]]`))
	f.Add([]byte(`[[1735689600000000,"1","4","0.5","2","3",1735689659999999,"6",1,"1","1","0"]]`))
	f.Add([]byte(`{"code":-1121,"msg":"Invalid symbol."}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		candles, _, err := decodePage(body, always)
		if err != nil {
			require.Nil(t, candles, "candles beside an error")
			return
		}
		var rows []json.RawMessage
		require.NoError(t, json.Unmarshal(body, &rows))
		require.Len(t, candles, len(rows))
		for _, c := range candles {
			require.True(t, c.OpenTime >= 0 && c.OpenTime < 1<<32)
		}
	})
}

func BenchmarkDecodePage(b *testing.B) {
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/api/v3/klines?symbol=BTCUSDT&interval=1m&startTime=1740000000000&endTime=1750000000000&limit=1000", nil)
	simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Now: time.Now}).ServeHTTP(recorder, request)
	body := recorder.Body.Bytes()
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		candles, _, err := decodePage(body, always)
		if err != nil || len(candles) != pageSize {
			b.Fatal(len(candles), err)
		}
	}
}

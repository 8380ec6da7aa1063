package geckoterminal

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var token = candle.Token{Chain: candle.Solana, Address: "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"}

// today is a day on which the suite's candles are not past retention.
var today = time.Date(2024, 4, 1, 0, 0, 0, 0, time.UTC)

// openURL opens the source as if it were now.
func openURL(t *testing.T, baseURL string, now time.Time) *Source {
	t.Helper()
	source, err := New(Config{
		BaseURL: baseURL + "/api/v2", Account: service.Account{Budget: service.NewLocal(10_000, time.Now)}, UserAgent: "quantbot/test",
		Concurrency: 2, Logger: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	})
	require.NoError(t, err)
	t.Cleanup(source.client.CloseIdleConnections)
	return source
}

func open(t *testing.T, now time.Time, handler http.Handler) *Source {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return openURL(t, server.URL, now)
}

// fetched is what a test saw of one call of Candles.
type fetched struct {
	candles []candle.Candle
	pages   int
	calls   int64
	credits int64
	err     error
}

func fetch(ctx context.Context, s *Source, token candle.Token, interval candle.Interval, r candle.Range) (f fetched) {
	for page, err := range s.Candles(ctx, token, interval, r) {
		f.pages++
		f.calls += page.APICalls
		f.credits += page.Credits
		f.candles = append(f.candles, page.Candles...)
		f.err = err
	}
	return f
}

// onePool responds with a pool of the token, and leaves what is asked about the pool to the handler.
func onePool(candles http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/pools") {
			fmt.Fprint(w, poolsOf(listed("P1", "solana_"+token.Address, "solana_So11111111111111111111111111111111111111112")))
			return
		}
		candles(w, r)
	}
}

func listed(address, base, quote string) string {
	return fmt.Sprintf(`{"attributes":{"address":%q},"relationships":{"base_token":{"data":{"id":%q}},"quote_token":{"data":{"id":%q}}}}`, address, base, quote)
}

func poolsOf(listed ...string) string { return `{"data":[` + strings.Join(listed, ",") + `]}` }

func rows(rows ...string) string {
	return `{"data":{"attributes":{"ohlcv_list":[` + strings.Join(rows, ",") + `]}}}`
}

func withMeta(base, quote string) string {
	return strings.TrimSuffix(rows("[60,1,1,1,1,1]"), "}") + fmt.Sprintf(`,"meta":{"base":{"address":%q},"quote":{"address":%q}}}`, base, quote)
}

// One row that cannot be read costs that candle, not the page.
func TestOddRowsAreDistinguished(t *testing.T) {
	t.Parallel()
	for odd, text := range map[string]string{
		"[120,1,null,1,1,1]":   "high is null",
		`[120,"one",1,1,1,1]`:  "open is one",
		"[120,1,1,1e999,1,1]":  "low is 1e999",
		"[120,1,1,1]":          "close is missing",
		"[120,1,1,1,1,[]]":     "volume is []",
		"null":                 "it has no values",
		"[null,1,1,1,1,1]":     `it has the time "null"`,
		"[120000000000,1,1,1]": `it has the time "120000000000"`,
	} {
		candles, oddities, err := decodeCandles([]byte(rows("[180,1,1,1,1,1]", odd, "[60,1,1,1,1,1]")), about)
		require.NoError(t, err, odd)
		require.Equal(t, []backfill.Oddity{{OpenTime: 120, Text: "item 1 of the answer: " + text}}, oddities)
		require.Equal(t, candle.RuleNotFinite, candle.Check(candles[1], candle.Interval1m, candle.Lenient, 1_000), odd)
		require.Equal(t, candle.RuleNone, candle.Check(candles[2], candle.Interval1m, candle.Lenient, 1_000), odd)
	}
	for _, good := range []string{withMeta(token.Address, "X"), withMeta("X", token.Address), rows(`[60,"1","1","1","1","1"]`)} {
		_, odd, err := decodeCandles([]byte(good), about)
		require.NoError(t, err)
		require.Empty(t, odd)
	}
}

var about = question{token, candle.Interval1m}

func TestErrorsCarryTheirClass(t *testing.T) {
	t.Parallel()
	const (
		html      = "<!DOCTYPE html><html>no</html>"
		tooFast   = `{"status":{"error_code":429,"error_message":"You've exceeded the Rate Limit."}}`
		oneCandle = "[60,1,1,1,1,1]"
	)
	for name, test := range map[string]struct {
		status int
		header string // Retry-After
		body   string
		class  backfill.Class
		wait   time.Duration
		text   string
	}{
		"no such pool":          {404, "", notFound, backfill.ClassPermanent, 0, "HTTP 404: Not Found"},
		"no such pool, in HTML": {404, "", html, backfill.ClassUnavailable, 0, "HTTP 404 Not Found"},
		"bad question":          {400, "", `{"error":"Invalid timeframe"}`, backfill.ClassPermanent, 0, "Invalid timeframe"},
		"not processable":       {422, "", `{"errors":[{"status":"422","title":"Bad","detail":"limit is above 1000"}]}`, backfill.ClassPermanent, 0, "limit is above 1000"},
		"bad question, foreign": {400, "", `{"oops":1}`, backfill.ClassUnavailable, 0, "HTTP 400 Bad Request"},
		"forbidden":             {403, "", `{"error":"Access denied"}`, backfill.ClassPermanent, 0, "Access denied"},
		"firewall":              {403, "", html, backfill.ClassUnavailable, 0, "HTTP 403 Forbidden"},
		"redirected to nowhere": {304, "", "", backfill.ClassUnavailable, 0, "HTTP 304"},
		"too fast":              {429, "", tooFast, backfill.ClassRateLimited, 0, "exceeded the Rate Limit"},
		"too fast, with a hint": {429, "60", tooFast, backfill.ClassRateLimited, time.Minute, "exceeded the Rate Limit"},
		"server error":          {500, "", `{"status":500,"error":"Internal Server Error"}`, backfill.ClassUnavailable, 0, "Internal Server Error"},
		"origin down":           {521, "", html, backfill.ClassUnavailable, 0, "HTTP 521"},
		"failure with 200":      {200, "", notFound, backfill.ClassUnavailable, 0, "answer without ohlcv_list: Not Found"},
		"cut JSON":              {200, "", rows(oneCandle)[:50], backfill.ClassUnavailable, 0, "no whole JSON"},
		"no list":               {200, "", `{"data":{"attributes":{}}}`, backfill.ClassUnavailable, 0, "without ohlcv_list"},
		"null for a list":       {200, "", `{"data":{"attributes":{"ohlcv_list":null}}}`, backfill.ClassUnavailable, 0, "without ohlcv_list"},
		"null for a row":        {200, "", rows(oneCandle, "null"), backfill.ClassUnavailable, 0, "item 1 of the answer: it has no values"},
		"another pool":          {200, "", withMeta("EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", "X"), backfill.ClassUnavailable, 0, "of another pool"},
		"two lists":             {200, "", `{"data":{"attributes":{"ohlcv_list":[` + oneCandle + `],"ohlcv_list":[]}}}`, backfill.ClassUnavailable, 0, "twice"},
		"two data":              {200, "", `{"data":{"attributes":{"ohlcv_list":[]}},"data":null}`, backfill.ClassUnavailable, 0, "twice"},
		"conflict in HTML":      {409, "", html, backfill.ClassUnavailable, 0, "HTTP 409"},
		"legal in HTML":         {451, "", html, backfill.ClassUnavailable, 0, "HTTP 451"},
		"milliseconds":          {200, "", rows("[1689280200000,1,1,1,1,1]"), backfill.ClassUnavailable, 0, "the time"},
		"a fraction of a time":  {200, "", rows("[60.5,1,1,1,1,1]"), backfill.ClassUnavailable, 0, "the time"},
		"before 1970":           {200, "", rows("[-60,1,1,1,1,1]"), backfill.ClassUnavailable, 0, "the time"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := open(t, time.Unix(600, 0), onePool(func(w http.ResponseWriter, _ *http.Request) {
				if test.header != "" {
					w.Header().Set("Retry-After", test.header)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			f := fetch(t.Context(), source, token, candle.Interval1m, candle.Range{From: 0, To: 600})
			require.Error(t, f.err)
			require.Equal(t, test.class, backfill.ClassOf(f.err), f.err)
			require.Equal(t, test.wait, backfill.RetryAfter(f.err))
			require.ErrorContains(t, f.err, test.text)
			require.EqualValues(t, 1, f.pages, "an error ends the sequence")
			require.EqualValues(t, 2, f.calls)
			require.Empty(t, f.candles)
		})
	}
}

// A service that always gives the same page must not be asked for ever.
func TestThePageThatNeverChangesEnds(t *testing.T) {
	t.Parallel()
	r := candle.Range{From: 600, To: 6_000}
	for name, test := range map[string]struct {
		row   string
		calls int64
		class backfill.Class // none: proven complete
	}{
		"inside the range":     {"[1200,1,1,1,1,1]", 3, backfill.ClassUnknown},
		"at the end":           {"[6000,1,1,1,1,1]", 2, backfill.ClassUnknown},
		"younger than the end": {"[9000,1,1,1,1,1]", 2, backfill.ClassUnavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source := open(t, time.Unix(9_999, 0), onePool(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, rows(test.row)) }))
			f := fetch(t.Context(), source, token, candle.Interval1m, r)
			require.Equal(t, test.calls, f.calls)
			if test.class == backfill.ClassUnknown {
				require.NoError(t, f.err)
				return
			}
			require.Equal(t, test.class, backfill.ClassOf(f.err))
		})
	}
}

// A service that hands out one candle a request must not be asked as often as the range has candles.
func TestPagesWithHardlyACandleEnd(t *testing.T) {
	t.Parallel()
	source := open(t, time.Unix(9_999_999, 0), onePool(func(w http.ResponseWriter, r *http.Request) {
		before, err := strconv.ParseInt(r.URL.Query().Get("before_timestamp"), 10, 64)
		require.NoError(t, err)
		fmt.Fprint(w, rows(fmt.Sprintf("[%d,1,1,1,1,1]", before-60)))
	}))
	f := fetch(t.Context(), source, token, candle.Interval1m, candle.Range{From: 0, To: 500 * 60})
	require.ErrorIs(t, f.err, errEndless)
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err))
	require.EqualValues(t, 1+pagesFor(500)+1, f.calls)
}

// What the service has forgotten fails with what can be asked for, end to end.
func TestARangePastRetentionFailsInsteadOfBeingEmpty(t *testing.T) {
	t.Parallel()
	now := today
	source := open(t, now, onePool(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, rows()) }))
	old, young := now.AddDate(-1, 0, 0).Unix(), now.AddDate(0, -1, 0).Unix()
	f := fetch(t.Context(), source, token, candle.Interval1d, candle.Range{From: young, To: now.Unix()})
	require.NoError(t, f.err, "empty, and not long ago")
	f = fetch(t.Context(), source, token, candle.Interval1d, candle.Range{From: old, To: young})
	require.Equal(t, backfill.ClassPermanent, backfill.ClassOf(f.err))
	require.ErrorContains(t, f.err, "ask from "+candle.FormatTime(now.Add(-retention).Unix()))
}

func TestVolumeInBaseUnitsIsAnEstimate(t *testing.T) {
	t.Parallel()
	candles, _, err := decodeCandles([]byte(rows("[120,1,4,1,4,10]", "[60,0,0,0,0,10]", "[0,1,1,1,1,0]")), about)
	require.NoError(t, err)
	require.Equal(t, []candle.Candle{
		{OpenTime: 120, Open: 1, High: 4, Low: 1, Close: 4, Volume: 2.5, VolumeUSD: 10},
		{OpenTime: 60, VolumeUSD: 10},
		{OpenTime: 0, Open: 1, High: 1, Low: 1, Close: 1},
	}, candles)
}

func TestSupportsNamesWhatThereIs(t *testing.T) {
	t.Parallel()
	source := openURL(t, "http://127.0.0.1:1", today)
	require.EqualError(t, source.Supports(candle.Monad, candle.Interval1m),
		"geckoterminal has no candles of monad (it has [arbitrum avalanche base bsc ethereum optimism polygon solana])")
	require.EqualError(t, source.Supports(candle.Base, candle.Interval15s), "geckoterminal has no candles of 15s (it has [1m 5m 15m 1h 4h 1d])")
}

func TestNewWantsAURL(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "api.geckoterminal.com/api/v2", "http://%"} {
		_, err := New(Config{BaseURL: bad})
		require.ErrorContains(t, err, "GECKOTERMINAL_BASE_URL", bad)
	}
}

func TestProbe(t *testing.T) {
	t.Parallel()
	for body, class := range map[string]backfill.Class{
		`{"data":[{"id":"eth"}]}`: "",
		`{"data":[]}`:             backfill.ClassUnavailable,
		`{"data":[{}]}`:           backfill.ClassUnavailable,
		`{"ok":true}`:             backfill.ClassUnavailable,
		`<html>`:                  backfill.ClassUnavailable,
	} {
		source := open(t, today, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/api/v2/networks" || r.URL.RawQuery != "page=1" {
				t.Error(r.URL)
			}
			fmt.Fprint(w, body)
		}))
		err := source.Probe(t.Context())
		if class == "" {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, class, backfill.ClassOf(err), body)
	}
}

func FuzzDecodeCandles(f *testing.F) {
	f.Add([]byte(rows("[1689280200,1.5,2,1e-9,1.25,55810.14]", "[1689279300,0,0,0,0,0]")))
	f.Add([]byte(rows()))
	f.Add([]byte(notFound))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		candles, _, err := decodeCandles(body, about)
		if err != nil && candles != nil {
			t.Fatal("candles beside an error")
		}
		for _, c := range candles {
			if c.OpenTime < 0 || c.Close <= 0 && c.Volume != 0 && !math.IsNaN(c.Volume) {
				t.Fatal(c)
			}
		}
	})
}

func FuzzDecodePool(f *testing.F) {
	f.Add([]byte(poolsOf(listed("P1", "solana_"+token.Address, "solana_X"))), token.Address)
	f.Add([]byte(poolsOf(listed("P1", "solana_X", "solana_"+token.Address))), token.Address)
	f.Add([]byte(poolsOf()), "X")
	f.Add([]byte(notFound), "X")
	f.Fuzz(func(t *testing.T, body []byte, address string) {
		found, err := decodePool(body, candle.Token{Chain: candle.Solana, Address: address})
		if err != nil {
			if class := backfill.ClassOf(err); class != backfill.ClassPermanent && class != backfill.ClassUnavailable {
				t.Fatal(err)
			}
			return
		}
		if !isAddress(found.address) || found.side != "base" && found.side != "quote" {
			t.Fatal(found)
		}
	})
}

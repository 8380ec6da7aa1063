package binance

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// recording is a question and its answer, as somebody recorded them.
type recording struct {
	Path  string          `json:"path"`
	Query string          `json:"query"`
	Body  json.RawMessage `json:"body"`
}

func recordings(t *testing.T, path string) (found []recording) {
	t.Helper()
	file, err := os.ReadFile(filepath.Join("..", "..", "..", "..", "shared", "data", "binance_recorded_klines.json"))
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("the recorded market data is not on this machine")
	}
	require.NoError(t, err)
	var all []recording
	require.NoError(t, json.Unmarshal(file, &all))
	for _, r := range all {
		if r.Path == path {
			found = append(found, r)
		}
	}
	return found
}

// rows reads a recorded body by another way than the source does.
func (r recording) rows(t *testing.T, dollars bool) []candle.Candle {
	t.Helper()
	var rows [][]any
	require.NoError(t, json.Unmarshal(r.Body, &rows))
	candles := make([]candle.Candle, len(rows))
	for i, row := range rows {
		require.Len(t, row, 12)
		number := func(field int) float64 {
			v, err := json.Number(row[field].(string)).Float64()
			require.NoError(t, err)
			return v
		}
		candles[i] = candle.Candle{
			OpenTime: int64(row[0].(float64)) / 1000, Open: number(1), High: number(2), Low: number(3), Close: number(4), Volume: number(5),
		}
		if dollars {
			candles[i].VolumeUSD = number(7)
		}
	}
	return candles
}

// window is the range whose answer the recording is: a question that was cut by its limit is as good as one that ended there.
func (r recording) window(t *testing.T) (token candle.Token, interval candle.Interval, window candle.Range) {
	t.Helper()
	query, err := url.ParseQuery(r.Query)
	require.NoError(t, err)
	interval, err = candle.ParseInterval(query.Get("interval"))
	require.NoError(t, err)
	token = candle.Token{Chain: candle.BinanceSpot, Address: query.Get("symbol")}
	candles := r.rows(t, false)
	window = candle.Range{From: candles[0].OpenTime, To: candles[len(candles)-1].OpenTime + 1}
	if start, err := strconv.ParseInt(query.Get("startTime"), 10, 64); err == nil {
		window.From = start / 1000
	}
	return token, interval, window
}

// replay responds by symbol, interval and start, and requires that the question's end is the recorded one or, where the
// recorded answer is full, later.
func replay(t *testing.T, all []recording) http.Handler {
	type key struct {
		token    candle.Token
		interval string
		from     string
		open     bool
	}
	bodies := map[key]json.RawMessage{}
	for _, r := range all {
		token, interval, window := r.window(t)
		from := strconv.FormatInt(window.From*1000, 10)
		bodies[key{token, interval.String(), from + "-" + strconv.FormatInt(window.To*1000-1, 10), false}] = r.Body
		if len(r.rows(t, false)) == pageSize {
			bodies[key{token, interval.String(), from, true}] = r.Body
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		token := candle.Token{Chain: candle.BinanceSpot, Address: query.Get("symbol")}
		body, ok := bodies[key{token, query.Get("interval"), query.Get("startTime") + "-" + query.Get("endTime"), false}]
		if !ok {
			body, ok = bodies[key{token, query.Get("interval"), query.Get("startTime"), true}]
		}
		if !ok || query.Get("limit") != "1000" {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		_, _ = w.Write(body)
	})
}

func TestRecordedAnswersArriveExactly(t *testing.T) {
	t.Parallel()
	all := recordings(t, "/api/v3/klines")
	require.Len(t, all, 13)
	url := serve(t, replay(t, all))
	for _, r := range all {
		t.Run(r.Query, func(t *testing.T) {
			t.Parallel()
			token, interval, window := r.window(t)
			want := r.rows(t, token == btc)
			f := fetch(t.Context(), open(t, testConfig(url)), token, interval, window)
			require.NoError(t, f.err)
			require.Equal(t, want, f.candles)
			require.EqualValues(t, 1, f.calls)
			for _, c := range f.candles {
				require.Equal(t, candle.RuleNone, candle.Check(c, interval, candle.Strict, window.To))
			}
		})
	}
}

// The recorded fetch of 1,000 and 468 hours, each asked from where the last one ended.
func TestRecordedPagesAreAskedOneAfterTheOther(t *testing.T) {
	t.Parallel()
	all := recordings(t, "/api/v3/klines")
	r := candle.Range{From: 1_588_280_400, To: 1_593_572_400 + 1}
	f := fetch(t.Context(), open(t, testConfig(serve(t, replay(t, all)))), btc, candle.Interval1h, r)
	require.NoError(t, f.err)
	require.Equal(t, 2, f.pages)
	require.EqualValues(t, 2, f.calls)
	require.EqualValues(t, 4, f.credits)
	var want []candle.Candle
	for _, recorded := range all {
		if _, interval, window := recorded.window(t); interval == candle.Interval1h && r.Intersect(window) == window {
			want = append(want, recorded.rows(t, true)...)
		}
	}
	require.Len(t, want, 1_468)
	require.Equal(t, want, f.candles)
}

// Coin-margined futures word their errors alike.
func TestRecordedErrorIsPassedOnInItsWords(t *testing.T) {
	t.Parallel()
	all := recordings(t, "/dapi/v1/klines")
	for status, class := range map[int]backfill.Class{http.StatusBadRequest: backfill.ClassPermanent, http.StatusOK: backfill.ClassUnavailable} {
		url := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = w.Write(all[0].Body)
		}))
		f := fetch(t.Context(), open(t, testConfig(url)), btc, candle.Interval1d, candle.Range{From: 0, To: 86_400})
		require.ErrorContains(t, f.err, "Maximum time interval is 200 days. (code -4088)")
		require.Equal(t, class, backfill.ClassOf(f.err))
		require.Empty(t, f.candles)
	}
}

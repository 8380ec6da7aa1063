package simmarket

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
)

func TestLatestIsTheEndOfCandles(t *testing.T) {
	t.Parallel()
	market := NewMarket(7)
	tokens := Tokens(50)
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.SampledFrom(tokens).Draw(t, "token")
		interval := rapid.SampledFrom([]candle.Interval{candle.Interval1s, candle.Interval1m, candle.Interval1h}).Draw(t, "interval")
		end := rapid.Int64Range(marketBegin-1_000, marketEnd+1_000).Draw(t, "end")
		limit := rapid.IntRange(1, 50).Draw(t, "limit")
		latest := market.latest(token, interval, end, limit)
		from := end - 100*interval.Seconds()
		if len(latest) > 0 {
			from = latest[len(latest)-1].OpenTime
		}
		before := market.Candles(token, interval, candle.Range{From: from, To: end})
		require.Equal(t, len(before), len(latest), "nothing is left out")
		for i, c := range latest {
			require.Equal(t, before[len(before)-1-i], c)
		}
		if life := market.Life(token); len(latest) < limit && life.Contains(end) {
			require.Empty(t, market.Candles(token, interval, candle.Range{From: life.From, To: max(life.From, from)}))
		}
	})
}

func askGecko(t *testing.T, s *Server, path string) (status int, answer map[string]any) {
	t.Helper()
	recorder := httptest.NewRecorder()
	s.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/api/v2/networks"+path, nil))
	require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
	return recorder.Code, answer
}

func TestServerAnswersLikeGeckoTerminal(t *testing.T) {
	t.Parallel()
	s := threeCandles(t, Options{})
	const minutes = "/solana/pools/poolA/ohlcv/minute?aggregate=1&currency=usd&token="
	rows := func(rows ...any) map[string]any {
		return map[string]any{"data": map[string]any{
			"id": "simulated", "type": "ohlcv_request_response", "attributes": map[string]any{"ohlcv_list": rows},
		}}
	}
	first, second, third := []any{60., 1., 2., 1., 2., 4.}, []any{180., 2., 3., 2., 3., 6.}, []any{240., 3., 3., 3., 3., 3.}
	failed := func(status, title string) map[string]any {
		return map[string]any{"errors": []any{map[string]any{"status": status, "title": title}}}
	}
	for name, test := range map[string]struct {
		path   string
		status int
		answer map[string]any
	}{
		"newest first":          {minutes + "quote&limit=1000&before_timestamp=1000", 200, rows(third, second, first)},
		"inclusive":             {minutes + "quote&limit=1000&before_timestamp=180", 200, rows(second, first)},
		"limited":               {minutes + "quote&limit=1&before_timestamp=239", 200, rows(second)},
		"nothing older":         {minutes + "quote&limit=1000&before_timestamp=59", 200, rows([]any{}...)},
		"the pool's other side": {minutes + "base&limit=1000&before_timestamp=1000", 200, rows([]any{}...)},
		"too many":              {minutes + "base&limit=1001&before_timestamp=1000", 400, failed("400", "Bad Request")},
		"no side":               {minutes + "&limit=1000&before_timestamp=1000", 400, failed("400", "Bad Request")},
		"no moment":             {minutes + "base&limit=1000", 400, failed("400", "Bad Request")},
		"no pool":               {"/solana/pools/A/ohlcv/minute?aggregate=1", 404, failed("404", "Not Found")},
		"no token":              {"/solana/tokens/B/pools?page=1", 404, failed("404", "Not Found")},
		"no network":            {"/sol/tokens/A/pools?page=1", 404, failed("404", "Not Found")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, answer := askGecko(t, s, test.path)
			require.Equal(t, test.status, status)
			want, err := json.Marshal(test.answer)
			require.NoError(t, err)
			got, err := json.Marshal(answer)
			require.NoError(t, err)
			require.JSONEq(t, string(want), string(got))
		})
	}
}

func TestPoolsHaveTheTokenOnOneSide(t *testing.T) {
	t.Parallel()
	s := NewServer(Options{Market: NewMarket(1), Now: time.Now})
	sides := map[string]int{}
	for _, token := range Tokens(20) {
		status, answer := askGecko(t, s, "/solana/tokens/"+token.Address+"/pools?page=1")
		require.Equal(t, 200, status)
		pool := answer["data"].([]any)[0].(map[string]any)
		attributes := pool["attributes"].(map[string]any)
		require.Equal(t, "pool"+token.Address, attributes["address"])
		require.Equal(t, candle.FormatTime(s.options.Market.Life(token).From), attributes["pool_created_at"])
		for _, side := range []string{"base", "quote"} {
			listed := pool["relationships"].(map[string]any)[side+"_token"].(map[string]any)["data"].(map[string]any)
			if listed["id"] == "solana_"+token.Address {
				sides[side]++
			}
		}
	}
	require.Equal(t, 20, sides["base"]+sides["quote"])
	require.Positive(t, sides["base"])
	require.Positive(t, sides["quote"])
}

func TestGeckoTerminalIsLimitedAndFaultyToo(t *testing.T) {
	t.Parallel()
	s := threeCandles(t, Options{RPS: 3, Faults: []Fault{{Kind: "500", Token: "A"}, {Kind: "429", After: 1, Times: 1}}})
	status, _ := askGecko(t, s, "/solana/tokens/A/pools?page=1")
	require.Equal(t, 500, status)
	for range 2 { // by the fault, then by the limit
		_, _ = askGecko(t, s, "?page=1")
	}
	status, answer := askGecko(t, s, "?page=1")
	require.Equal(t, 429, status)
	require.Equal(t, map[string]any{"status": map[string]any{"error_code": 429., "error_message": "You've exceeded the Rate Limit."}}, answer)
	require.Equal(t, map[int]int64{500: 1, 200: 1, 429: 2}, s.Stats().ByStatus)
	require.Equal(t, map[string]int64{"A": 1}, s.Stats().ByToken)
}

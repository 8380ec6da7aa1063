package simmarket

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
)

// A candle depends on its time alone: asking for two halves gives what asking for the whole gives.
func TestCandlesDoNotDependOnTheWindow(t *testing.T) {
	t.Parallel()
	market := NewMarket(7)
	tokens := Tokens(50)
	rapid.Check(t, func(t *rapid.T) {
		token := rapid.SampledFrom(tokens).Draw(t, "token")
		interval := rapid.SampledFrom([]candle.Interval{candle.Interval1s, candle.Interval1m, candle.Interval5m, candle.Interval1h}).Draw(t, "interval")
		from := rapid.Int64Range(marketBegin-100_000, marketEnd).Draw(t, "from")
		middle := from + rapid.Int64Range(0, 200*interval.Seconds()).Draw(t, "first")
		to := middle + rapid.Int64Range(0, 200*interval.Seconds()).Draw(t, "second")
		whole := market.Candles(token, interval, candle.Range{From: from, To: to})
		parts := append(market.Candles(token, interval, candle.Range{From: from, To: middle}), market.Candles(token, interval, candle.Range{From: middle, To: to})...)
		require.Equal(t, len(whole), len(parts))
		for i, c := range whole {
			require.Equal(t, c, parts[i])
			require.Equal(t, candle.RuleNone, candle.Check(c, interval, candle.Lenient, marketEnd))
		}
	})
}

func TestHigherIntervalsAreMadeOfMinutes(t *testing.T) {
	t.Parallel()
	market := NewMarket(7)
	day := candle.Range{From: 1_740_787_200, To: 1_740_873_600}
	token := Tokens(10)[slices.IndexFunc(Tokens(10), func(token candle.Token) bool {
		life := market.Life(token)
		return life.Contains(day.From) && life.Contains(day.To)
	})]
	minutes := market.Candles(token, candle.Interval1m, day)
	require.NotEmpty(t, minutes)
	require.Less(t, len(minutes), 1_440, "some minutes are missing")
	whole := market.Candles(token, candle.Interval1d, day)
	require.Len(t, whole, 1)
	require.Equal(t, minutes[0].Open, whole[0].Open)
	require.Equal(t, minutes[len(minutes)-1].Close, whole[0].Close)
}

func TestSomeTokensStartAndDieInside(t *testing.T) {
	t.Parallel()
	market := NewMarket(1)
	born, died := 0, 0
	for _, token := range Tokens(2_000) {
		life := market.Life(token)
		if life.From > marketBegin {
			born++
		}
		if life.To < marketEnd {
			died++
		}
		_, err := candle.NewToken(token.Chain, token.Address)
		require.NoError(t, err)
	}
	require.InDelta(t, 500, born, 100)
	require.InDelta(t, 333, died, 100)
}

func ask(t *testing.T, s *Server, query string) (int, []candle.Candle, http.Header) {
	t.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/defi/v3/ohlcv?"+query, nil)
	request.Header.Set("X-API-KEY", "k")
	s.ServeHTTP(recorder, request)
	var answer struct {
		Data struct {
			Items []struct {
				UnixTime int64   `json:"unix_time"`
				O        float64 `json:"o"`
				C        float64 `json:"c"`
			} `json:"items"`
		} `json:"data"`
	}
	if strings.HasPrefix(recorder.Header().Get("Content-Type"), "application/json") {
		require.NoError(t, json.Unmarshal(recorder.Body.Bytes(), &answer))
	}
	var candles []candle.Candle
	for _, item := range answer.Data.Items {
		candles = append(candles, candle.Candle{OpenTime: item.UnixTime, Open: item.O, Close: item.C})
	}
	return recorder.Code, candles, recorder.Header()
}

const csvOfThree = "token_address,interval,unix_time,o,h,l,c,v_usd\nA,1m,60,1,2,1,2,4\nA,1m,180,2,3,2,3,6\nA,1m,240,3,3,3,3,3\n"

func threeCandles(t *testing.T, options Options) *Server {
	t.Helper()
	market, err := LoadCSV(strings.NewReader(csvOfThree))
	require.NoError(t, err)
	options.Market = market
	if options.Now == nil {
		options.Now = func() time.Time { return time.Unix(1_000, 0) }
	}
	return NewServer(options)
}

func TestServerAnswersLikeTheService(t *testing.T) {
	t.Parallel()
	s := threeCandles(t, Options{})
	for name, test := range map[string]struct {
		query string
		code  int
		opens []int64
	}{
		"both ends inside":      {"address=A&type=1m&time_from=60&time_to=240", 200, []int64{60, 180, 240}},
		"unaligned begin":       {"address=A&type=1m&time_from=61&time_to=239", 200, []int64{180}},
		"padded":                {"address=A&type=1m&time_from=60&time_to=240&padding=true", 200, []int64{60, 120, 180, 240}},
		"unknown token":         {"address=B&type=1m&time_from=60&time_to=240", 200, nil},
		"nothing there":         {"address=A&type=1H&time_from=60&time_to=240", 200, nil},
		"no address":            {"type=1m&time_from=60&time_to=240", 400, nil},
		"type in another case":  {"address=A&type=1M&time_from=60&time_to=240", 400, nil},
		"times in milliseconds": {"address=A&type=1m&time_from=1700000000000&time_to=1700000060000", 400, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, candles, _ := ask(t, s, test.query)
			require.Equal(t, test.code, code)
			var opens []int64
			for _, c := range candles {
				opens = append(opens, c.OpenTime)
			}
			require.Equal(t, test.opens, opens)
		})
	}
}

func TestRateLimitCountsAnyRollingSecond(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000, 0)
	s := threeCandles(t, Options{RPS: 2, Now: func() time.Time { return now }})
	codes := []int{}
	for _, step := range []time.Duration{0, 600 * time.Millisecond, 300 * time.Millisecond, 200 * time.Millisecond, 2 * time.Second} {
		now = now.Add(step)
		code, _, header := ask(t, s, "address=A&type=1m&time_from=60&time_to=240")
		codes = append(codes, code)
		if code == http.StatusTooManyRequests {
			require.Equal(t, "1", header.Get("Retry-After"))
		}
	}
	require.Equal(t, []int{200, 200, 429, 429, 200}, codes, "refused requests count too")
	stats := s.Stats()
	require.Equal(t, 3, stats.MostPerSecond)
	require.Equal(t, map[int]int64{200: 3, 429: 2}, stats.ByStatus)
	require.EqualValues(t, 9, stats.Served["A"])
}

func TestFaultsHitWhatTheyName(t *testing.T) {
	t.Parallel()
	s := threeCandles(t, Options{Faults: []Fault{{Kind: "500", Token: "B"}, {Kind: "quota", After: 4}, {Kind: "521", Every: 3, Times: 1}}})
	var codes []int
	for _, address := range []string{"A", "B", "A", "A", "A"} {
		code, _, _ := ask(t, s, "address="+address+"&type=1m&time_from=60&time_to=240")
		codes = append(codes, code)
	}
	require.Equal(t, []int{200, 500, 521, 200, 400}, codes)
	s.SetFaults(nil)
	code, _, _ := ask(t, s, "address=B&type=1m&time_from=60&time_to=240")
	require.Equal(t, 200, code)
}

func TestParseFault(t *testing.T) {
	t.Parallel()
	f, err := ParseFault("429:every=50,retry_after=2,times=3,for=1m")
	require.NoError(t, err)
	require.Equal(t, Fault{Kind: "429", Every: 50, RetryAfter: 2, Times: 3, For: time.Minute, Delay: 3 * time.Second}, f)
	for _, bad := range []string{"", "600", "500:rate=2", "500:rate=NaN", "500:often", "500:every=0", "slow:delay=soon"} {
		_, err := ParseFault(bad)
		require.Error(t, err, bad)
	}
}

func FuzzParseFault(f *testing.F) {
	f.Add("429:every=50,retry_after=2")
	f.Add("slow:rate=0.01,delay=3s")
	f.Fuzz(func(t *testing.T, s string) {
		fault, err := ParseFault(s)
		if err == nil {
			_ = fault.hits(1, 0, "", 0)
		}
	})
}

func TestLoadCSVNamesTheBadLine(t *testing.T) {
	t.Parallel()
	_, err := LoadCSV(strings.NewReader(csvOfThree + "A,1m,x,3,3,3,3,3\n"))
	require.ErrorContains(t, err, "line 5")
	_, err = LoadCSV(strings.NewReader(""))
	require.Error(t, err)
}

func BenchmarkServePage(b *testing.B) {
	s := NewServer(Options{Market: NewMarket(1), Now: time.Now})
	query := "address=" + Tokens(1)[0].Address + "&type=1m&time_from=1740000000&time_to=1750000000"
	b.ReportAllocs()
	for b.Loop() {
		recorder := httptest.NewRecorder()
		s.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, "/defi/v3/ohlcv?"+query, nil))
		if recorder.Code != http.StatusOK {
			b.Fatal(recorder.Code)
		}
	}
}

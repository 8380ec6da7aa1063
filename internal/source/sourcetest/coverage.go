package sourcetest

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// stretch is some candles in a row: count of them, from the one that opens `from` intervals behind the start.
type stretch struct{ from, count int }

// situation is a market and a question, in intervals behind the start.
type situation struct {
	market []stretch
	// from and to are the range; seconds before and behind make it unaligned.
	from, to              int
	addToFrom, takeFromTo int64
}

// situations are in pages of p candles.
func situations(p int) map[string]situation {
	return map[string]situation{
		"nothing there":                  {nil, 0, 3 * p, 0, 0},
		"nothing asked":                  {[]stretch{{0, 10}}, 5, 5, 0, 0},
		"one candle":                     {[]stretch{{0, 3}}, 1, 2, 0, 0},
		"one less than a page":           {[]stretch{{0, p - 1}}, 0, p - 1, 0, 0},
		"a page":                         {[]stretch{{0, p}}, 0, p, 0, 0},
		"a page of a longer range":       {[]stretch{{0, p}}, 0, p + 10, 0, 0},
		"one more than a page":           {[]stretch{{0, p + 1}}, 0, p + 1, 0, 0},
		"two pages":                      {[]stretch{{0, 2 * p}}, 0, 2 * p, 0, 0},
		"three pages and a bit":          {[]stretch{{0, 3*p + 7}}, 0, 3*p + 7, 0, 0},
		"a hole above a page":            {[]stretch{{0, 100}, {2*p + 100, 100}}, 0, 2*p + 200, 0, 0},
		"a page, then a hole":            {[]stretch{{0, p}, {3 * p, 7}}, 0, 3*p + 100, 0, 0},
		"a hole, then a page":            {[]stretch{{2 * p, p}}, 0, 3 * p, 0, 0},
		"a hole in the middle of a page": {[]stretch{{0, p / 2}, {p, p}}, 0, 2 * p, 0, 0},
		"nothing but the first":          {[]stretch{{0, 1}}, 0, 3 * p, 0, 0},
		"nothing but the last":           {[]stretch{{3*p - 1, 1}}, 0, 3 * p, 0, 0},
		"more on both sides":             {[]stretch{{0, p + 300}}, 100, p + 200, 0, 0},
		"more on both sides of a page":   {[]stretch{{0, p + 200}}, 100, p + 100, 0, 0},
		"only on the other sides":        {[]stretch{{0, 100}, {200, 100}}, 100, 200, 0, 0},
		"late begin":                     {[]stretch{{0, p + 10}}, 0, p + 5, 1, 0},
		"early end":                      {[]stretch{{0, p + 10}}, 0, p + 5, 0, 1},
		"unaligned on both sides":        {[]stretch{{0, 2*p + 10}}, 0, 2*p + 5, 1, 1},
	}
}

// market is the truth of the suite's token.
func (s Suite) market(stretches ...stretch) []candle.Candle {
	var candles []candle.Candle
	for _, stretch := range stretches {
		for i := stretch.from; i < stretch.from+stretch.count; i++ {
			price := 1 + float64(i%997)/1000
			candles = append(candles, candle.Candle{
				OpenTime: s.at(i), Open: price, High: price + 0.5, Low: price / 2, Close: price + 0.25,
				Volume: 10 + float64(i%13), VolumeUSD: 20 + float64(i%17),
			})
		}
	}
	return candles
}

// at is the open time of the candle i intervals behind the start.
func (s Suite) at(i int) int64 { return s.Start + int64(i)*s.Interval.Seconds() }

func (s Suite) testCoverage(t *testing.T) {
	t.Parallel()
	for name, situation := range situations(s.Sheet.PageSize) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			market := s.market(situation.market...)
			r := candle.Range{From: s.at(situation.from) + situation.addToFrom, To: s.at(situation.to) - situation.takeFromTo}
			source, server := s.start(t, s.Serve(t, market, None), fault{})
			f := s.fetch(t.Context(), t, source, r)
			require.NoError(t, f.err)
			slices.SortFunc(f.candles, byOpenTime) // a service may be paged from either end
			requireSame(t, s.seen(market, r), f.candles)
			requests, charged := server.counts()
			require.Equal(t, s.FewestCalls(market, r), requests, "the fewest requests possible")
			require.Equal(t, requests, f.calls)
			require.Equal(t, charged, f.credits)
		})
	}
}

// requireSame names the first difference instead of printing thousands of candles.
func requireSame(t *testing.T, want, got []candle.Candle) {
	t.Helper()
	for i := range min(len(want), len(got)) {
		if want[i] != got[i] { // reflection for each would take most of the suite's time
			require.Equal(t, want[i], got[i], "candle %d", i)
		}
	}
	require.Equal(t, len(want), len(got))
}

// What a service adds to its answers is passed on, and every candle comes all the same.
func (s Suite) testDisorder(t *testing.T) {
	t.Parallel()
	for _, disorder := range []Disorder{Duplicate, Outside, Late} {
		t.Run(string(disorder), func(t *testing.T) {
			t.Parallel()
			count := s.Sheet.PageSize*2 + 10
			market := s.market(stretch{0, count + 20})
			r := candle.Range{From: s.at(10), To: s.at(10 + count)}
			source, _ := s.start(t, s.Serve(t, market, disorder), fault{})
			passedOn := 0
			opens := map[int64]bool{}
			for page, err := range source.Candles(t.Context(), s.Token, s.Interval, r) {
				require.NoError(t, err)
				require.True(t, slices.IsSortedFunc(page.Candles, byOpenTime), "the candles of a page must be oldest first")
				passedOn += len(page.Candles)
				for _, c := range inside(page.Candles, r) {
					opens[c.OpenTime] = true
				}
			}
			require.Len(t, opens, count)
			require.Greater(t, passedOn, count, "the disorder must reach the source and its reader")
		})
	}
}

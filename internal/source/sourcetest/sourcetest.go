// Package sourcetest is the contract of a source as tests. A source passes by answering from simulated answers in its
// service's own format: every candle of a range exactly once over all pages, no end without an error before that, each
// error once, last and in its class, and every request counted.
package sourcetest

import (
	"cmp"
	"context"
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/datasheet"
)

// Suite is what Run has to know of a source.
type Suite struct {
	// Sheet is what the source declares of itself.
	Sheet datasheet.Sheet
	// Token and Interval are what is asked for; the suite's candles are of both.
	Token    candle.Token
	Interval candle.Interval
	// Start is the open time, in Unix seconds, of the first candle that is asked for; 0 = DefaultStart.
	Start int64
	// Open returns the source under test. What the source keeps open it must close by t.Cleanup. It may be opened at a base
	// URL that holds a password.
	Open func(t *testing.T, baseURL string) breaker.Source
	// Serve returns the service's answers from a market that has these candles and no others.
	Serve func(t *testing.T, candles []candle.Candle, disorder Disorder) http.Handler
	// Seen is what the service reports of a true candle; nil = all of it.
	Seen func(candle.Candle) candle.Candle
	// FewestCalls is how many requests the range takes at least in a market of these candles, oldest first; some may be
	// outside the range, because what a service says of them can prove the range complete. See Ascending.
	FewestCalls func(market []candle.Candle, r candle.Range) int64
	// Price is what the service charges for a request, whatever it returns; nil = nothing.
	Price func(*http.Request) int64
	// BadToken is the answer to a token that the service does not know.
	BadToken Answer
	// Foreign make an answer about another question of a true one, by what is foreign in it. "another time" moves all its
	// candles out of any window, "a repeated name" says the list of candles twice.
	Foreign map[string]func(body []byte) []byte
	// Odd puts a null in place of a price of one item of an answer.
	Odd func(body []byte, item int) []byte
	// Chains are the only ones that the source serves. NoIntervals are those that it has not.
	Chains      []candle.Chain
	NoIntervals []candle.Interval
	// Secrets may not occur in an error.
	Secrets []string
}

// DefaultStart is 2024-01-01, a whole day.
const DefaultStart = 1_704_067_200

// Answer is an answer of the service, word for word.
type Answer struct {
	Status int
	Body   string
}

// Disorder is what a service does to its candles without saying so.
type Disorder string

// The disorders, by the names of the simulated market's faults.
const (
	None Disorder = ""
	// Duplicate: one candle comes twice, with other volumes.
	Duplicate Disorder = "duplicate"
	// Outside: a candle from before the asked window comes along; Late: one from behind it.
	Outside Disorder = "outside"
	Late    Disorder = "late"
)

// Run checks the source against its contract.
func Run(t *testing.T, s Suite) {
	t.Helper()
	if s.Start == 0 {
		s.Start = DefaultStart
	}
	require.True(t, s.Interval.OnGrid(s.Start), "the suite's start must be an open time")
	if s.Seen == nil {
		s.Seen = func(c candle.Candle) candle.Candle { return c }
	}
	if s.Price == nil {
		s.Price = func(*http.Request) int64 { return 0 }
	}
	t.Run("facts", s.testFacts)
	t.Run("pages cover the range", s.testCoverage)
	t.Run("disorder does not stop paging", s.testDisorder)
	t.Run("errors", s.testErrors)
	t.Run("redirects", s.testRedirect)
	t.Run("another question", s.testForeign)
	t.Run("an odd candle", s.testOdd)
	t.Run("a flood", s.testFlood)
	t.Run("an echo", s.testEcho)
	t.Run("no connection", s.testNoConnection)
	t.Run("interruption", s.testInterruption)
	t.Run("a reader that stops", s.testStop)
	t.Run("probe", s.testProbe)
}

// Ascending returns FewestCalls of a service that returns for a window its first candles, up to the page size: fewer
// prove the window complete.
func Ascending(pageSize int, interval candle.Interval) func([]candle.Candle, candle.Range) int64 {
	return func(market []candle.Candle, r candle.Range) (calls int64) {
		candles := inside(market, r)
		for from := r.From; from < r.To; calls++ {
			if len(candles) < pageSize {
				return calls + 1
			}
			from = interval.Next(candles[pageSize-1].OpenTime)
			candles = candles[pageSize:]
		}
		return calls
	}
}

// fetched is what a test saw of one call of Candles.
type fetched struct {
	candles []candle.Candle // inside the range, as they came
	odd     []backfill.Oddity
	pages   int
	calls   int64
	credits int64
	err     error
}

func (s Suite) fetch(ctx context.Context, t *testing.T, source backfill.Source, r candle.Range) fetched {
	t.Helper()
	var f fetched
	for page, err := range source.Candles(ctx, s.Token, s.Interval, r) {
		require.NoError(t, f.err, "nothing may follow an error")
		require.True(t, slices.IsSortedFunc(page.Candles, byOpenTime), "the candles of a page must be oldest first")
		f.pages++
		f.calls += page.APICalls
		f.credits += page.Credits
		f.candles = append(f.candles, inside(page.Candles, r)...)
		f.odd = append(f.odd, page.Odd...)
		f.err = err
	}
	return f
}

func byOpenTime(a, b candle.Candle) int { return cmp.Compare(a.OpenTime, b.OpenTime) }

func inside(candles []candle.Candle, r candle.Range) []candle.Candle {
	return slices.DeleteFunc(slices.Clone(candles), func(c candle.Candle) bool { return !r.Contains(c.OpenTime) })
}

// seen is what the source should give of these candles for the range.
func (s Suite) seen(candles []candle.Candle, r candle.Range) []candle.Candle {
	candles = inside(candles, r)
	for i, c := range candles {
		candles[i] = s.Seen(c)
	}
	return candles
}

// requireNoSecret checks an error's text, which ends up in rows and logs.
func (s Suite) requireNoSecret(t *testing.T, err error) {
	t.Helper()
	for _, secret := range s.Secrets {
		require.NotContains(t, err.Error(), secret)
	}
	require.NotContains(t, err.Error(), password)
	require.NotContains(t, err.Error(), "\n")
}

func (s Suite) testFacts(t *testing.T) {
	t.Parallel()
	source := s.Open(t, "http://127.0.0.1:1")
	require.NotEmpty(t, source.Name())
	require.Equal(t, s.Sheet.Name, source.Name())
	require.Positive(t, s.Sheet.PageSize)
	require.GreaterOrEqual(t, source.SettleDelay().Nanoseconds(), int64(0))
	require.Equal(t, s.Sheet.SettleDelay, source.SettleDelay())
	for _, chain := range []candle.Chain{
		candle.Solana, candle.Ethereum, candle.BSC, candle.Base, candle.Monad, candle.Arbitrum, candle.Avalanche,
		candle.Optimism, candle.Polygon, candle.BinanceSpot, "nowhere",
	} {
		err := source.Supports(chain, s.Interval)
		require.Equal(t, s.Sheet.Supports(chain, s.Interval), err == nil, "the data sheet is right about %s", chain)
		if slices.Contains(s.Chains, chain) {
			require.NoError(t, err, chain)
			continue
		}
		require.ErrorContains(t, err, string(chain))
		require.ErrorContains(t, err, source.Name())
	}
	for _, interval := range append(candle.Intervals(), 7) {
		err := source.Supports(s.Token.Chain, interval)
		require.Equal(t, s.Sheet.Supports(s.Token.Chain, interval), err == nil, "the data sheet is right about %s", interval)
		if interval == 7 || slices.Contains(s.NoIntervals, interval) {
			require.ErrorContains(t, err, interval.String())
			continue
		}
		require.NoError(t, err, interval)
	}
}

package candle

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mr-tron/base58"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestIntervals(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"1s", "15s", "1m", "5m", "15m", "1h", "4h", "1d"} {
		i, err := ParseInterval(name)
		require.NoError(t, err)
		require.Equal(t, name, i.String())
	}
	for _, name := range []string{"", "1M", "1H", "2m", "60"} {
		_, err := ParseInterval(name)
		require.ErrorContains(t, err, "unknown interval")
	}
	require.Equal(t, int64(-60), Interval1m.Truncate(-1))
	require.Equal(t, int64(0), Interval1m.Ceil(-59))
	require.Equal(t, int64(120), Interval1m.Next(60))
}

func TestTokens(t *testing.T) {
	t.Parallel()
	const mint = "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"
	token, err := NewToken(Solana, " "+mint+" ")
	require.NoError(t, err)
	require.Equal(t, mint, token.Address, "the case of a mint carries information")
	token, err = NewToken(Base, "0xABCDEF0123456789abcdef0123456789ABCDEF01")
	require.NoError(t, err)
	require.Equal(t, "0xabcdef0123456789abcdef0123456789abcdef01", token.Address)
	token, err = NewToken(BinanceSpot, "btcusdt")
	require.NoError(t, err)
	require.Equal(t, "BTCUSDT", token.Address)
	for name, bad := range map[string]struct {
		chain   Chain
		address string
	}{
		"symbol with a slash": {BinanceSpot, "BTC/USDT"}, "no symbol": {BinanceSpot, " "}, "long symbol": {BinanceSpot, "ABCDEFGHIJKLMNOPQRSTU"},
		"empty": {Solana, ""}, "EVM on Solana": {Solana, "0xABCDEF0123456789abcdef0123456789ABCDEF01"},
		"not base58": {Solana, "0LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"}, "33 bytes": {Solana, mint + "1"},
		"mint on Base": {Base, mint}, "short": {Base, "0xabc"}, "no hex": {Base, "0xZBCDEF0123456789abcdef0123456789ABCDEF01"},
	} {
		_, err := NewToken(bad.chain, bad.address)
		require.Error(t, err, name)
	}
}

func TestSymbolsAreAsTheExchangeHasThem(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"币安人生USDT": "币安人生USDT", "币安人生usdt": "币安人生USDT", "这是测试币456": "这是测试币456", "ΣUSDT": "ΣUSDT", "ςusdt": "ςUSDT", "1000SATSUSDT": "1000SATSUSDT",
	} {
		token, err := NewToken(BinanceSpot, typed)
		require.NoError(t, err)
		require.Equal(t, want, token.Address)
	}
	for name, bad := range map[string]string{
		"right-to-left override": "BTC\u202eUSDT", "zero-width joiner": "BTC\u200dUSDT", "zero-width space": "BTC\u200bUSDT", "mark of byte order": "BTC\ufeffUSDT",
		"line break": "BTC\nUSDT", "escape": "BTC\x1b[31m", "NUL": "BTC\x00", "delete": "BTC\x7f", "control of Latin 1": "BTC\u009b31m", "soft hyphen": "BTC\u00adUSDT",
		"Hangul filler": "BTC\u3164USDT", "variation selector": "BTC\ufe0fUSDT", "grapheme joiner": "BTC\u034fUSDT", "tag": "BTC\U000e0041", "private use": "BTC\ue000",
		"emoji": "🐕USDT", "no UTF-8": "BTC\xffUSDT", "percent": "BTC%2fUSDT", "question mark": "BTC?", "hash": "BTC#", "blank inside": "BTC USDT", "backslash": `BTC\USDT`,
		"too long": "币安人生币安人生币安人生币安人生币安人生B",
	} {
		_, err := NewToken(BinanceSpot, bad)
		require.ErrorContains(t, err, "no symbol of Binance spot", name)
		require.NotContains(t, err.Error(), "\u202e", name)
	}
}

func TestTheCaseOfAMintIsNeverChanged(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		mint := base58.Encode(rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "mint"))
		token, err := NewToken(Solana, "\t"+mint+" \r\n")
		require.NoError(t, err)
		require.Equal(t, mint, token.Address)
	})
}

func TestChainsAreNeverGuessed(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]Chain{"SOL": Solana, " solana ": Solana, "bnb": BSC, "Eth": Ethereum, "base": Base, "binance": BSC, "binance-spot": BinanceSpot} {
		chain, err := ParseChain(text)
		require.NoError(t, err)
		require.Equal(t, want, chain)
	}
	for _, text := range []string{"", "evm", "tron", "solan"} {
		_, err := ParseChain(text)
		require.ErrorContains(t, err, "unknown chain", text)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	good := Candle{OpenTime: 120, Open: 2, High: 3, Low: 1, Close: 2, Volume: 1, VolumeUSD: 2}
	for name, test := range map[string]struct {
		change  func(*Candle)
		lenient Rule
		strict  Rule
	}{
		"good":            {func(*Candle) {}, RuleNone, RuleNone},
		"high below low":  {func(c *Candle) { c.High = 0.5 }, RuleInvalidRange, RuleInvalidRange},
		"open above high": {func(c *Candle) { c.Open = 4 }, RuleOpenOutsideRange, RuleOpenOutsideRange},
		"close below low": {func(c *Candle) { c.Close = 0.5 }, RuleCloseOutsideRange, RuleCloseOutsideRange},
		"negative volume": {func(c *Candle) { c.Volume = -1 }, RuleNegativeValues, RuleNegativeValues},
		"not a number":    {func(c *Candle) { c.Close = math.NaN() }, RuleNotFinite, RuleNotFinite},
		"infinite":        {func(c *Candle) { c.High = math.Inf(1) }, RuleNotFinite, RuleNotFinite},
		"off the grid":    {func(c *Candle) { c.OpenTime = 121 }, RuleOffGrid, RuleOffGrid},
		"in the future":   {func(c *Candle) { c.OpenTime = 6_000 }, RuleFutureTimestamp, RuleFutureTimestamp},
		"no volume":       {func(c *Candle) { c.Volume, c.VolumeUSD = 0, 0 }, RuleNone, RuleZeroVolume},
		"volume in USD":   {func(c *Candle) { c.Volume = 0 }, RuleNone, RuleNone},
		"no price":        {func(c *Candle) { c.Low, c.Open = 0, 0 }, RuleNone, RuleZeroPrice},
	} {
		c := good
		test.change(&c)
		require.Equal(t, test.lenient, Check(c, Interval1m, Lenient, 1_000), name)
		require.Equal(t, test.strict, Check(c, Interval1m, Strict, 1_000), name)
	}
}

func TestQuality(t *testing.T) {
	t.Parallel()
	c := Candle{Open: 2, High: 3, Low: 1, Close: 2, VolumeUSD: 1}
	require.Equal(t, MaxQuality, Quality(c, TierCanonical))
	c.VolumeUSD = 0
	require.EqualValues(t, 22, Quality(c, TierBackfillAPI))
	c.High = 0.5
	require.EqualValues(t, 0, Quality(c, TierUnknown))
}

func drawRanges(t *rapid.T, label string) []Range {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Range {
		from := rapid.Int64Range(-50, 50).Draw(t, "from")
		return Range{From: from, To: from + rapid.Int64Range(-3, 20).Draw(t, "length")}
	}), 0, 8).Draw(t, label)
}

func seconds(ranges []Range) map[int64]bool {
	set := map[int64]bool{}
	for _, r := range ranges {
		for s := r.From; s < r.To; s++ {
			set[s] = true
		}
	}
	return set
}

func TestMergeAndSubtractAreSetOperations(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawRanges(t, "a"), drawRanges(t, "b")
		inA, inB := seconds(a), seconds(b)
		mergedA, mergedB := Merge(a), Merge(b)
		require.Equal(t, inA, seconds(mergedA))
		for i, r := range mergedA {
			require.False(t, r.Empty())
			require.True(t, i == 0 || mergedA[i-1].To < r.From, "sorted and apart")
		}
		for s := range inB {
			delete(inA, s)
		}
		require.Equal(t, inA, seconds(Subtract(mergedA, mergedB)))
	})
}

func TestDedupeDoesNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		candles := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Candle {
			v := func(name string) float64 { return float64(rapid.IntRange(0, 2).Draw(t, name)) }
			return Candle{OpenTime: rapid.Int64Range(0, 3).Draw(t, "t"), Open: v("o"), High: v("h"), Low: v("l"), Close: v("c"), Volume: v("v")}
		}), 0, 10).Draw(t, "candles")
		shuffled := append([]Candle{}, candles...)
		rand.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		one, other := Dedupe(candles, TierBackfillAPI), Dedupe(shuffled, TierBackfillAPI)
		require.Equal(t, one, other)
		for i, c := range one {
			require.True(t, i == 0 || one[i-1].OpenTime < c.OpenTime)
		}
	})
}

func TestRanges(t *testing.T) {
	t.Parallel()
	r := Range{From: 61, To: 179}
	require.EqualValues(t, 1, r.Candles(Interval1m))
	require.True(t, r.Align(Interval1m).Empty())
	require.Equal(t, Range{From: 60, To: 180}, Range{From: 1, To: 200}.Align(Interval1m))
	require.Equal(t, "[1970-01-01T00:01:01Z, 1970-01-01T00:02:59Z)", r.String())
}

func TestEveryIntervalIsListedOnce(t *testing.T) {
	t.Parallel()
	require.Equal(t, []string{"1s", "15s", "1m", "5m", "15m", "1h", "4h", "1d"}, IntervalNames())
	require.True(t, slices.IsSorted(Intervals()))
	for i, interval := range Intervals() {
		require.Equal(t, IntervalNames()[i], interval.String())
	}
}

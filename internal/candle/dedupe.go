package candle

import (
	"cmp"
	"slices"
)

// Dedupe sorts candles by time and keeps the best of each open time. It reorders its argument and returns a prefix of it.
func Dedupe(candles []Candle, tier SourceTier) []Candle {
	if ascending(candles) { // as nearly every answer is: nothing to compare
		return candles
	}
	slices.SortFunc(candles, func(a, b Candle) int { return CompareBest(a, b, tier) })
	return slices.CompactFunc(candles, func(a, b Candle) bool { return a.OpenTime == b.OpenTime })
}

// ascending reports whether each candle opens after the one before.
func ascending(candles []Candle) bool {
	for i := 1; i < len(candles); i++ {
		if candles[i].OpenTime <= candles[i-1].OpenTime {
			return false
		}
	}
	return true
}

// CompareBest orders candles by open time, and the candles of one open time best first: by quality, and among equals by
// their values, so that the order in which a source sent them does not matter.
func CompareBest(a, b Candle, tier SourceTier) int {
	if c := cmp.Compare(a.OpenTime, b.OpenTime); c != 0 {
		return c
	}
	if c := cmp.Compare(Quality(b, tier), Quality(a, tier)); c != 0 {
		return c
	}
	return compareValues(b, a)
}

// compareValues puts the candle with the larger volume later: of two candles with one open time, the one that has seen
// more trades is the more complete.
func compareValues(a, b Candle) int {
	return cmp.Or(
		cmp.Compare(a.Volume, b.Volume),
		cmp.Compare(a.VolumeUSD, b.VolumeUSD),
		cmp.Compare(a.High, b.High),
		cmp.Compare(b.Low, a.Low),
		cmp.Compare(a.Close, b.Close),
		cmp.Compare(a.Open, b.Open),
	)
}

package coverage

import (
	"slices"

	"quantbot/internal/candle"
)

// Fetches are the stretches in which a missing candle is confirmed: a source has responded for them whose silence means
// something, and nothing was rejected there. All are added before the first is read. Only merged ranges are kept.
type Fetches struct {
	tokens map[candle.Token]*fetchedToken
}

type fetchedToken struct {
	ranges, rejected []candle.Range
	merged           bool
}

// NewFetches starts with nothing confirmed.
func NewFetches() *Fetches { return &Fetches{tokens: make(map[candle.Token]*fetchedToken)} }

// Add notes a fetched range; in order of time is fastest.
func (a *Fetches) Add(token candle.Token, r candle.Range) {
	t := a.of(token)
	if last := len(t.ranges) - 1; last >= 0 && t.ranges[last].From <= r.From && r.From <= t.ranges[last].To {
		t.ranges[last].To = max(t.ranges[last].To, r.To)
		return
	}
	t.ranges = append(t.ranges, r)
}

// Reject notes candles that were fetched and corrupt: they are not there, and not confirmed to be missing.
func (a *Fetches) Reject(token candle.Token, r candle.Range) {
	t := a.of(token)
	t.rejected = append(t.rejected, r)
}

func (a *Fetches) of(token candle.Token) *fetchedToken {
	if a.tokens[token] == nil {
		a.tokens[token] = &fetchedToken{}
	}
	return a.tokens[token]
}

// Ranges is what is confirmed of the token, merged. The caller must not change it.
func (a *Fetches) Ranges(token candle.Token) []candle.Range {
	t := a.tokens[token]
	if t == nil {
		return nil
	}
	if !t.merged {
		t.ranges, t.rejected, t.merged = candle.Subtract(candle.Merge(t.ranges), candle.Merge(t.rejected)), nil, true
	}
	return t.ranges
}

// ConfirmedEmpty counts the candles of the range that are confirmed to be missing, given the open times, ascending, of those
// that are there.
func (a *Fetches) ConfirmedEmpty(token candle.Token, interval candle.Interval, r candle.Range, opens []uint32) (silent int64) {
	ranges := a.Ranges(token)
	first, _ := slices.BinarySearchFunc(ranges, r.From, func(confirmed candle.Range, from int64) int {
		if confirmed.To <= from {
			return -1
		}
		return 1
	})
	for _, confirmed := range ranges[first:] {
		if confirmed.From >= r.To {
			break
		}
		confirmed = confirmed.Intersect(r)
		from, _ := slices.BinarySearch(opens, uint32(confirmed.From))
		to, _ := slices.BinarySearch(opens, uint32(confirmed.To))
		silent += confirmed.Candles(interval) - int64(to-from)
	}
	return silent
}

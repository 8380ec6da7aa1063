package backfill

import (
	"slices"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// BeingFetched is what runs that are going on have yet to fetch of what is wanted. It holds merged ranges only.
type BeingFetched struct {
	interval candle.Interval
	tokens   map[candle.Token][]rangesOfRun
}

// rangesOfRun are sorted by time and do not touch.
type rangesOfRun struct {
	run    uuid.UUID
	ranges []candle.Range
}

// NewBeingFetched starts with nothing being fetched.
func NewBeingFetched(wanted []candle.TokenRanges, interval candle.Interval) *BeingFetched {
	b := &BeingFetched{interval: interval, tokens: make(map[candle.Token][]rangesOfRun, len(wanted))}
	for _, w := range wanted {
		b.tokens[w.Token] = nil
	}
	return b
}

// Add notes a chunk that has no outcome yet. Those of one token must come run by run, and those of a run in order of time.
// Tokens that are not wanted are ignored.
func (b *BeingFetched) Add(run uuid.UUID, token candle.Token, r candle.Range) {
	runs, wanted := b.tokens[token]
	if !wanted {
		return
	}
	if last := len(runs) - 1; last < 0 || runs[last].run != run {
		runs = append(runs, rangesOfRun{run: run})
	}
	of := &runs[len(runs)-1]
	if last := len(of.ranges) - 1; last >= 0 && r.From <= of.ranges[last].To {
		of.ranges[last].To = max(of.ranges[last].To, r.To)
	} else {
		of.ranges = append(of.ranges, r)
	}
	b.tokens[token] = runs
}

// LeftOut is what a plan leaves to another run, which has yet to fetch it.
type LeftOut struct {
	RunID uuid.UUID
	// Candles is how many open there.
	Candles int64
	Wanted  []candle.TokenRanges
}

// LeaveOut takes what is being fetched from what is missing, and returns the rest and what was left to which run. What
// several runs fetch is left to one of them.
func (b *BeingFetched) LeaveOut(missing []candle.TokenRanges) (rest []candle.TokenRanges, left []LeftOut) {
	for _, w := range missing {
		for _, of := range b.tokens[w.Token] {
			part := candle.Intersect(w.Ranges, of.ranges)
			candles := int64(0)
			for _, r := range part {
				candles += r.Candles(b.interval)
			}
			if candles == 0 {
				continue
			}
			w.Ranges = candle.Subtract(w.Ranges, part)
			i := slices.IndexFunc(left, func(l LeftOut) bool { return l.RunID == of.run })
			if i < 0 {
				i, left = len(left), append(left, LeftOut{RunID: of.run})
			}
			left[i].Candles += candles
			left[i].Wanted = append(left[i].Wanted, candle.TokenRanges{Token: w.Token, Ranges: part})
		}
		if len(w.Ranges) > 0 {
			rest = append(rest, w)
		}
	}
	return rest, left
}

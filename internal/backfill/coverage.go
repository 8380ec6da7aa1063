package backfill

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// RecheckAfter is when a range is asked for again whose answer proves little: the token never gave a candle (a wrong
// address and one that is past the source's retention look the same), or candles were rejected.
const RecheckAfter = 24 * time.Hour

// Asked is a chunk's outcome as the history has it: what a source was asked for, and whether it answered.
type Asked struct {
	Token candle.Token
	Range candle.Range
	RunID uuid.UUID
	// Answered: the source's answer was whole. Otherwise the chunk failed.
	Answered bool
	// Confirmed: the source has given a candle of the token at some time, so that its silence means something.
	Confirmed bool
	// At is when, by the clock of the store.
	At time.Time
}

// RejectedRange is a stretch of candles that a run rejected because they were corrupt.
type RejectedRange struct {
	Token candle.Token
	RunID uuid.UUID
	Range candle.Range
}

// Coverage says which part of what is wanted need not be asked for again. Rejected ranges come first, then what was
// asked; in order of time is fastest. It holds merged ranges only.
type Coverage struct {
	interval candle.Interval
	// recheck: what was answered before then and proves little is not covered.
	recheck  time.Time
	wanted   []candle.TokenRanges
	tokens   map[candle.Token]*tokenCoverage
	rejected map[rejectedKey][]candle.Range
	relied   map[uuid.UUID]int64
}

type tokenCoverage struct {
	wanted, covered []candle.Range
}

type rejectedKey struct {
	token candle.Token
	runID uuid.UUID
}

// NewCoverage starts with nothing covered. wanted must be normalized (see Request.Normalize).
func NewCoverage(wanted []candle.TokenRanges, interval candle.Interval, now time.Time) *Coverage {
	c := &Coverage{
		interval: interval, recheck: now.Add(-RecheckAfter), wanted: wanted, tokens: make(map[candle.Token]*tokenCoverage, len(wanted)),
		rejected: make(map[rejectedKey][]candle.Range), relied: make(map[uuid.UUID]int64),
	}
	all := make([]tokenCoverage, len(wanted))
	for i, w := range wanted {
		all[i].wanted = w.Ranges
		c.tokens[w.Token] = &all[i]
	}
	return c
}

// AddRejected notes what must not count as covered by the answer of its run.
func (c *Coverage) AddRejected(r RejectedRange) {
	if c.tokens[r.Token] != nil {
		key := rejectedKey{r.Token, r.RunID}
		c.rejected[key] = append(c.rejected[key], r.Range)
	}
}

// Add takes an outcome into account. Failed chunks cover nothing.
func (c *Coverage) Add(a Asked) {
	token := c.tokens[a.Token]
	old := a.At.Before(c.recheck)
	if token == nil || !a.Answered || old && !a.Confirmed {
		return
	}
	ranges := []candle.Range{a.Range}
	if holes := c.rejected[rejectedKey{a.Token, a.RunID}]; old && len(holes) > 0 {
		ranges = candle.Subtract(ranges, candle.Merge(slices.Clone(holes)))
	}
	for _, r := range ranges {
		if relied := token.wants(r, c.interval); relied > 0 {
			c.relied[a.RunID] += relied
			token.cover(r)
		}
	}
}

// wants is how many wanted candles open inside the range.
func (t *tokenCoverage) wants(r candle.Range, interval candle.Interval) (opens int64) {
	first, _ := slices.BinarySearchFunc(t.wanted, r.From, func(w candle.Range, from int64) int {
		if w.To <= from {
			return -1
		}
		return 1
	})
	for _, w := range t.wanted[first:] {
		if w.From >= r.To {
			break
		}
		opens += w.Intersect(r).Opens(interval)
	}
	return opens
}

func (t *tokenCoverage) cover(r candle.Range) {
	if last := len(t.covered) - 1; last >= 0 && t.covered[last].From <= r.From && r.From <= t.covered[last].To {
		t.covered[last].To = max(t.covered[last].To, r.To)
		return
	}
	t.covered = append(t.covered, r)
}

// Missing is what is wanted and not covered. Tokens that are covered whole are left out.
func (c *Coverage) Missing() []candle.TokenRanges {
	missing := make([]candle.TokenRanges, 0, len(c.wanted))
	for _, w := range c.wanted {
		token := c.tokens[w.Token]
		left := w.Ranges
		if len(token.covered) > 0 {
			left = candle.Subtract(w.Ranges, candle.Merge(slices.Clone(token.covered)))
		}
		if len(left) > 0 {
			missing = append(missing, candle.TokenRanges{Token: w.Token, Ranges: left})
		}
	}
	return missing
}

// Relied are the runs whose answers cover something wanted, with how many candles, for the plan to remember: when one of
// them is rolled back, its ranges are missing here.
func (c *Coverage) Relied() map[uuid.UUID]int64 { return maps.Clone(c.relied) }

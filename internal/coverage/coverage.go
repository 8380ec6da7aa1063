package coverage

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// RecheckAfter is when a range is fetched again whose response proves little: the token never gave a candle (a wrong
// address and one that is past the source's retention look the same), or candles were rejected.
const RecheckAfter = 24 * time.Hour

// YoungFor is up to what age a candle that a source does not have may still come: services fill in later. What was younger
// when it was confirmed to be empty is fetched again so long after; it is old then, so that it is fetched only once more.
const YoungFor = 7 * 24 * time.Hour

// FetchRecord is what the history has of a chunk: which range was requested from a source, and whether the response was whole.
type FetchRecord struct {
	Token candle.Token
	Range candle.Range
	// RequestedTo is where the chunk ends, where its answer ended before that; otherwise 0.
	RequestedTo int64
	RunID       uuid.UUID
	// Answered: the source's answer was whole. Otherwise the chunk failed or was cancelled.
	Answered  bool
	Cancelled bool
	// Confirmed: the source has given a candle of the token at some time, so that its silence means something.
	Confirmed bool
	// HiddenBy is the run whose rollback hides the candles of this one: mostly itself; zero = they are not hidden.
	HiddenBy uuid.UUID
	// At is when, by the clock of the store.
	At time.Time
	// Defaulted: the run does not say what the source was to do with outliers. The source's default of the day held.
	Defaulted bool
}

// Counts reports whether the record says what there is. One that a rollback hides does not.
func (a FetchRecord) Counts() bool { return a.Answered && a.HiddenBy == uuid.Nil }

// whole is the requested range, of which Range may be the beginning.
func (a FetchRecord) whole() candle.Range {
	return candle.Range{From: a.Range.From, To: max(a.Range.To, a.RequestedTo)}
}

// RejectedRange is a stretch of candles that a run rejected because they were corrupt.
type RejectedRange struct {
	Token candle.Token
	RunID uuid.UUID
	Range candle.Range
}

// Filter leaves out of what is wanted what need not be fetched again. Rejected ranges are added first, then fetch records; in
// order of time is fastest. It holds merged ranges only.
type Filter struct {
	interval candle.Interval
	// recheck: what was fetched before then and proves little is not covered; reask: what was young then is fetched again.
	recheck      time.Time
	reask        time.Time
	wanted       []candle.TokenRanges
	tokens       map[candle.Token]*tokenCoverage
	rejected     map[rejectedKey][]candle.Range
	dependencies map[uuid.UUID]int64
}

type tokenCoverage struct {
	wanted, covered []candle.Range
	// have are the stretches that are there, as far as they matter (see Aged).
	have []candle.Range
	aged []agedRecord
}

// agedRecord is the part of a record that was young then, and is stale where it was empty.
type agedRecord struct {
	run uuid.UUID
	r   candle.Range
}

type rejectedKey struct {
	token candle.Token
	runID uuid.UUID
}

// NewFilter starts with nothing covered. wanted must be normalized (see Request.Normalize).
func NewFilter(wanted []candle.TokenRanges, interval candle.Interval, now time.Time) *Filter {
	c := &Filter{
		interval: interval, recheck: now.Add(-RecheckAfter), reask: now.Add(-YoungFor), wanted: wanted, tokens: make(map[candle.Token]*tokenCoverage, len(wanted)),
		rejected: make(map[rejectedKey][]candle.Range), dependencies: make(map[uuid.UUID]int64),
	}
	all := make([]tokenCoverage, len(wanted))
	for i, w := range wanted {
		all[i].wanted = w.Ranges
		c.tokens[w.Token] = &all[i]
	}
	return c
}

// AddRejected notes what must not count as covered by the record of its run.
func (c *Filter) AddRejected(r RejectedRange) {
	if c.tokens[r.Token] != nil {
		key := rejectedKey{r.Token, r.RunID}
		c.rejected[key] = append(c.rejected[key], r.Range)
	}
}

// Add takes an outcome into account. Chunks that failed or are hidden cover nothing.
func (c *Filter) Add(a FetchRecord) {
	token := c.tokens[a.Token]
	old := a.At.Before(c.recheck)
	if token == nil || !a.Counts() || old && !a.Confirmed {
		return
	}
	ranges := []candle.Range{a.Range}
	if holes := c.rejected[rejectedKey{a.Token, a.RunID}]; old && len(holes) > 0 {
		ranges = candle.Subtract(ranges, candle.Merge(slices.Clone(holes)))
	}
	for _, r := range ranges {
		if aged := c.young(a, r); !aged.Empty() {
			token.aged = append(token.aged, agedRecord{a.RunID, aged})
			r.To = aged.From
		}
		c.cover(token, a.RunID, r)
	}
}

// young is the part of the range whose candles had closed less than YoungFor before the response, if that is so long ago.
func (c *Filter) young(a FetchRecord, r candle.Range) candle.Range {
	if !a.At.Before(c.reask) {
		return candle.Range{}
	}
	r.From = max(r.From, c.interval.Truncate(a.At.Add(-YoungFor).Unix()))
	return r
}

func (c *Filter) cover(token *tokenCoverage, run uuid.UUID, r candle.Range) {
	if needed := token.wants(r, c.interval); needed > 0 {
		c.dependencies[run] += needed
		token.cover(r)
	}
}

// Aged are the wanted tokens with records that are fetched again where they found nothing, with the range of these. What
// is there of them must be added by AddHave before Missing.
func (c *Filter) Aged() (tokens []candle.Token, span candle.Range) {
	for _, w := range c.wanted {
		token, before := c.tokens[w.Token], len(tokens)
		for _, aged := range token.aged {
			if token.wants(aged.r, c.interval) == 0 {
				continue
			}
			if len(tokens) == before {
				tokens = append(tokens, w.Token)
			}
			if span.Empty() {
				span = aged.r
			}
			span = candle.Range{From: min(span.From, aged.r.From), To: max(span.To, aged.r.To)}
		}
	}
	return tokens, span
}

// AddHave notes stretches of a token in which no candle is missing.
func (c *Filter) AddHave(t candle.Token, have []candle.Range) {
	if token := c.tokens[t]; token != nil {
		token.have = append(token.have, have...)
	}
}

// settleAged decides about the records that have aged. What is fetched again reaches from the first to the last candle that
// is missing: where one page holds those two it holds what is between them, too, at no further cost. Where they are further
// apart the pages between them are bought as well, once, and at most those of YoungFor.
func (c *Filter) settleAged(token *tokenCoverage) {
	have := candle.Merge(slices.Clone(token.have))
	for _, aged := range token.aged {
		rest := []candle.Range{aged.r}
		empty := candle.Subtract(candle.Intersect(token.wanted, rest), have)
		if len(empty) > 0 {
			rest = candle.Subtract(rest, []candle.Range{{From: empty[0].From, To: empty[len(empty)-1].To}})
		}
		for _, r := range rest {
			c.cover(token, aged.run, r)
		}
	}
	token.aged, token.have = nil, nil
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
		opens += w.Intersect(r).Candles(interval)
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
func (c *Filter) Missing() []candle.TokenRanges {
	missing := make([]candle.TokenRanges, 0, len(c.wanted))
	for _, w := range c.wanted {
		token := c.tokens[w.Token]
		c.settleAged(token)
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

// Dependencies are the runs whose records cover something wanted, with how many candles, for the plan to remember: when one of
// them is rolled back, its ranges are missing here.
func (c *Filter) Dependencies() map[uuid.UUID]int64 { return maps.Clone(c.dependencies) }

package backfill

import (
	"slices"
	"time"

	"quantbot/internal/candle"
)

// Verdict says what is known of a moment of a token.
type Verdict string

// The verdicts. Rejected and Unconfirmed are asked for again after RecheckAfter, ConfirmedEmpty once after YoungFor, where it was
// young.
const (
	Have           Verdict = "have"
	ConfirmedEmpty Verdict = "confirmed_empty" // the source has no candle there
	RejectedCandle Verdict = "rejected"        // the source's candle was corrupt
	Unconfirmed    Verdict = "unconfirmed"     // no candle, from a source that never had one of the token
	FailedToFetch  Verdict = "failed"
	NeverAsked     Verdict = "never_asked"
)

// Verdicts lists them all, the best first; where two hold, the better one counts.
func Verdicts() []Verdict {
	return []Verdict{Have, RejectedCandle, ConfirmedEmpty, Unconfirmed, FailedToFetch, NeverAsked}
}

// Judged is a stretch of a token with one verdict.
type Judged struct {
	Range   candle.Range `json:"range"`
	Verdict Verdict      `json:"verdict"`
	// Candles is how many candles could open inside.
	Candles int64 `json:"candles"`
	// Due: it would be asked for now.
	Due bool `json:"due"`
}

// TokenHistory is everything that is known of a token at one interval.
type TokenHistory struct {
	Token    candle.Token
	Interval candle.Interval
	// Have are the stretches without a missing candle.
	Have     []candle.Range
	Asked    []Asked
	Rejected []RejectedRange
}

// Span reaches from the first to the last moment that was asked for.
func (h TokenHistory) Span() candle.Range {
	if len(h.Asked) == 0 {
		return candle.Range{}
	}
	span := h.Asked[0].Range
	for _, a := range h.Asked {
		span.From, span.To = min(span.From, a.Range.From), max(span.To, a.Range.To)
	}
	return span
}

// Moment is when something is judged, which is the same for everybody who judges: by the stores' clock (see Clock), and with
// the delay that plans have (see PlanOptions).
type Moment struct {
	Now         time.Time
	SettleDelay time.Duration
}

// Judge cuts the range into stretches of one verdict, in order of time. It ends where the candles begin that have not closed
// yet: nothing can be said of them, and no plan asks for them.
func (h TokenHistory) Judge(r candle.Range, m Moment) []Judged {
	closed := ClosedBefore(h.Interval, m.SettleDelay, m.Now)
	judgeable := candle.Range{From: h.Interval.Ceil(r.From), To: min(h.Interval.Ceil(r.To), closed)}
	if judgeable.Empty() {
		return nil
	}
	wanted := []candle.TokenRanges{{Token: h.Token, Ranges: []candle.Range{judgeable}}}
	coverage := NewCoverage(wanted, h.Interval, m.Now)
	sets := map[Verdict][]candle.Range{Have: h.Have}
	for _, rejected := range h.Rejected {
		coverage.AddRejected(rejected)
		sets[RejectedCandle] = append(sets[RejectedCandle], rejected.Range)
	}
	for _, asked := range h.Asked {
		coverage.Add(asked)
		verdict := ConfirmedEmpty
		if !asked.Answered {
			verdict = FailedToFetch
		} else if !asked.Confirmed {
			verdict = Unconfirmed
		}
		sets[verdict] = append(sets[verdict], asked.Range)
	}
	coverage.AddHave(h.Token, h.Have)
	due := map[bool][]candle.Range{}
	for _, missing := range coverage.Missing() {
		due[true] = missing.Ranges
	}
	due[false] = candle.Subtract(wanted[0].Ranges, due[true])
	return h.cut(wanted[0].Ranges, sets, due)
}

// cut gives each moment its best verdict, and tells apart what is due.
func (h TokenHistory) cut(left []candle.Range, sets map[Verdict][]candle.Range, due map[bool][]candle.Range) (judged []Judged) {
	for _, verdict := range Verdicts() {
		found := left
		if verdict != NeverAsked {
			set := candle.Merge(slices.Clone(sets[verdict]))
			found = candle.Intersect(left, set)
			left = candle.Subtract(left, set)
		}
		for isDue, ranges := range due {
			for _, r := range candle.Intersect(found, ranges) {
				judged = append(judged, Judged{Range: r, Verdict: verdict, Candles: r.Opens(h.Interval), Due: isDue})
			}
		}
	}
	slices.SortFunc(judged, func(a, b Judged) int { return int(a.Range.From - b.Range.From) })
	return judged
}

// Refetch is what to ask for so that all due stretches are answered: they themselves and, between two that are due because
// their emptiness has aged, the candles that come with the same pages. Stretches must be in order of time.
func Refetch(judged []Judged) (ranges []candle.Range) {
	var between candle.Range // candles since the last aged stretch
	aged := false
	for _, j := range judged {
		switch {
		case !j.Due:
			aged = false
		case j.Verdict != Have:
			if aged && j.Verdict == ConfirmedEmpty && !between.Empty() {
				ranges = append(ranges, between)
			}
			ranges = append(ranges, j.Range)
			between, aged = candle.Range{}, j.Verdict == ConfirmedEmpty
		case aged:
			between = j.Range
		}
	}
	return candle.Merge(ranges)
}

// Defaulted counts the candles of the range whose answer is of a run that does not say what it asked for (see Asked), and of no
// other.
func (h TokenHistory) Defaulted(r candle.Range) (candles int64) {
	var defaulted, said []candle.Range
	for _, a := range h.Asked {
		switch {
		case !a.Answered:
		case a.Defaulted:
			defaulted = append(defaulted, a.Range)
		default:
			said = append(said, a.Range)
		}
	}
	for _, only := range candle.Intersect(candle.Subtract(candle.Merge(defaulted), candle.Merge(said)), []candle.Range{r}) {
		candles += only.Opens(h.Interval)
	}
	return candles
}

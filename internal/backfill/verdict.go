package backfill

import (
	"slices"
	"time"

	"quantbot/internal/candle"
)

// Verdict says what is known of a moment of a token.
type Verdict string

// The verdicts. Rejected and Unconfirmed are asked for again after RecheckAfter.
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

// Judge cuts the range into stretches of one verdict, in order of time.
func (h TokenHistory) Judge(r candle.Range, now time.Time) []Judged {
	wanted := []candle.TokenRanges{{Token: h.Token, Ranges: []candle.Range{{From: h.Interval.Ceil(r.From), To: h.Interval.Ceil(r.To)}}}}
	coverage := NewCoverage(wanted, h.Interval, now)
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

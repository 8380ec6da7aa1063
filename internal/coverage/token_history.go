package coverage

import (
	"slices"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// TokenHistory is everything that is known of a token at one interval.
type TokenHistory struct {
	Token    candle.Token
	Interval candle.Interval
	// Have are the stretches without a missing candle.
	Have []candle.Range
	// Fetches is in the order in which its ranges begin.
	Fetches  []FetchRecord
	Rejected []RejectedRange
}

// RequestedRanges are the ranges that were requested, by this run alone or, without one, by any; merged.
func (h TokenHistory) RequestedRanges(run uuid.UUID) (ranges []candle.Range) {
	for _, a := range h.Fetches {
		if run == uuid.Nil || a.RunID == run {
			ranges = append(ranges, a.whole())
		}
	}
	return candle.Merge(ranges)
}

// Span reaches from the first to the last moment that was requested.
func (h TokenHistory) Span() candle.Range { return hull(h.RequestedRanges(uuid.Nil)) }

// hull reaches over merged ranges.
func hull(ranges []candle.Range) candle.Range {
	if len(ranges) == 0 {
		return candle.Range{}
	}
	return candle.Range{From: ranges[0].From, To: ranges[len(ranges)-1].To}
}

// sets are where each verdict holds but NeverAsked, merged.
func (h TokenHistory) sets() map[Verdict][]candle.Range {
	sets := map[Verdict][]candle.Range{Have: slices.Clone(h.Have)}
	for _, a := range h.Fetches {
		verdict := ConfirmedEmpty
		switch {
		case a.Cancelled:
			verdict = CancelledChunk
		case !a.Answered:
			verdict = FailedToFetch
		case a.HiddenBy != uuid.Nil:
			verdict = RolledBack
		case !a.Confirmed:
			verdict = Unconfirmed
		}
		sets[verdict] = append(sets[verdict], a.Range)
	}
	for _, rejected := range h.Rejected {
		sets[RejectedCandle] = append(sets[RejectedCandle], rejected.Range)
	}
	for verdict := range sets {
		sets[verdict] = candle.Merge(sets[verdict])
	}
	sets[Unconfirmed] = candle.Subtract(sets[Unconfirmed], sets[ConfirmedEmpty])
	for _, unanswered := range []Verdict{RolledBack, FailedToFetch, CancelledChunk} {
		for _, answered := range []Verdict{ConfirmedEmpty, Unconfirmed} {
			sets[unanswered] = candle.Subtract(sets[unanswered], sets[answered])
		}
	}
	return sets
}

// nameRolledBack says of the stretches, which are in order, whose rollbacks hide what was fetched.
func (h TokenHistory) nameRolledBack(judged []VerdictSpan) {
	var hidden []FetchRecord
	for _, a := range h.Fetches {
		if a.Answered && a.HiddenBy != uuid.Nil {
			hidden = append(hidden, a)
		}
	}
	for i := range judged {
		j := &judged[i]
		if j.Verdict != RolledBack {
			continue
		}
		for len(hidden) > 0 && hidden[0].Range.To <= j.Range.From {
			hidden = hidden[1:]
		}
		for _, a := range hidden {
			if a.Range.From >= j.Range.To {
				break
			}
			if !a.Range.Intersect(j.Range).Empty() && !slices.Contains(j.RolledBack, a.HiddenBy) {
				j.RolledBack = append(j.RolledBack, a.HiddenBy)
			}
		}
	}
}

// Defaulted counts the candles of the range that were fetched by a run that does not say what it asked for (see FetchRecord), and by no
// other.
func (h TokenHistory) Defaulted(r candle.Range) (candles int64) {
	var defaulted, said []candle.Range
	for _, a := range h.Fetches {
		switch {
		case !a.Counts():
		case a.Defaulted:
			defaulted = append(defaulted, a.Range)
		default:
			said = append(said, a.Range)
		}
	}
	for _, only := range candle.Intersect(candle.Subtract(candle.Merge(defaulted), candle.Merge(said)), []candle.Range{r}) {
		candles += only.Candles(h.Interval)
	}
	return candles
}

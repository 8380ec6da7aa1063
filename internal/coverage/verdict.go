package coverage

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// Verdict says what is known of a moment of a token.
type Verdict string

// The verdicts. RejectedCandle and Unconfirmed are fetched again after RecheckAfter, ConfirmedEmpty once after YoungFor, where it
// was young. RolledBack, FailedToFetch and CancelledChunk hold only where no record counts.
const (
	Have           Verdict = "have"
	RolledBack     Verdict = "rolled_back"     // fetched by runs that are rolled back alone
	RejectedCandle Verdict = "rejected"        // the source's candle was corrupt
	FailedToFetch  Verdict = "failed"          // the source did not respond
	CancelledChunk Verdict = "cancelled"       // the run was cancelled before anything was fetched
	Unconfirmed    Verdict = "unconfirmed"     // no candle, from a source that never had one of the token
	ConfirmedEmpty Verdict = "confirmed_empty" // the source has no candle there
	NeverAsked     Verdict = "never_asked"
)

// Verdicts lists them all; where two hold, the one that comes first counts.
func Verdicts() []Verdict {
	return []Verdict{Have, RolledBack, RejectedCandle, FailedToFetch, CancelledChunk, Unconfirmed, ConfirmedEmpty, NeverAsked}
}

// VerdictSpan is a stretch of a token with one verdict.
type VerdictSpan struct {
	Range   candle.Range `json:"range"`
	Verdict Verdict      `json:"verdict"`
	// Candles is how many candles could open inside.
	Candles int64 `json:"candles"`
	// Stale: a plan would fetch it now.
	Stale bool `json:"due"`
	// RolledBack are the runs whose rollbacks hide what was fetched, where that is the verdict.
	RolledBack []uuid.UUID `json:"rolled_back_run_ids"`
}

// Moment is when something is judged, which is the same for everybody who judges: by the stores' clock (see Clock), and with
// the delay that plans have (see PlanOptions).
type Moment struct {
	Now         time.Time
	SettleDelay time.Duration
}

// Judge cuts the range into stretches of one verdict, in order of time. It ends where the candles begin that have not closed
// yet: nothing can be said of them, and no plan asks for them.
func (h TokenHistory) Judge(r candle.Range, m Moment) []VerdictSpan {
	return h.JudgeRanges([]candle.Range{r}, m)
}

// JudgeRanges is Judge for several ranges, which must be merged.
func (h TokenHistory) JudgeRanges(ranges []candle.Range, m Moment) []VerdictSpan {
	wanted := h.closed(ranges, m)
	if len(wanted) == 0 {
		return nil
	}
	filter := NewFilter([]candle.TokenRanges{{Token: h.Token, Ranges: wanted}}, h.Interval, m.Now)
	for _, rejected := range h.Rejected {
		filter.AddRejected(rejected)
	}
	for _, asked := range h.Fetches {
		filter.Add(asked)
	}
	filter.AddHave(h.Token, h.Have)
	stale := map[bool][]candle.Range{}
	for _, missing := range filter.Missing() {
		stale[true] = missing.Ranges
	}
	stale[false] = candle.Subtract(wanted, stale[true])
	return h.cut(wanted, stale)
}

// JudgeRequested judges what was requested, by this run alone or, without one, by any, and nothing else: what lies between was never
// requested, and is not stale.
func (h TokenHistory) JudgeRequested(run uuid.UUID, m Moment) []VerdictSpan {
	asked := h.closed(h.RequestedRanges(run), m)
	judged := h.JudgeRanges(asked, m)
	for _, r := range candle.Subtract(candle.Merge([]candle.Range{hull(asked)}), asked) {
		judged = append(judged, VerdictSpan{Range: r, Verdict: NeverAsked, Candles: r.Candles(h.Interval)})
	}
	return inOrder(judged)
}

// closed are the ranges on the grid, up to the candles that have not closed.
func (h TokenHistory) closed(ranges []candle.Range, m Moment) []candle.Range {
	end := h.Interval.ClosedBefore(m.SettleDelay, m.Now)
	var closed []candle.Range
	for _, r := range ranges {
		closed = append(closed, candle.Range{From: h.Interval.Ceil(r.From), To: min(h.Interval.Ceil(r.To), end)})
	}
	return candle.Merge(closed)
}

// cut gives each moment its verdict, and separates what is stale.
func (h TokenHistory) cut(left []candle.Range, stale map[bool][]candle.Range) (judged []VerdictSpan) {
	sets := h.sets()
	for _, verdict := range Verdicts() {
		found := left
		if verdict != NeverAsked {
			found = candle.Intersect(left, sets[verdict])
			left = candle.Subtract(left, sets[verdict])
		}
		for isStale, ranges := range stale {
			for _, r := range candle.Intersect(found, ranges) {
				judged = append(judged, VerdictSpan{Range: r, Verdict: verdict, Candles: r.Candles(h.Interval), Stale: isStale})
			}
		}
	}
	inOrder(judged)
	h.nameRolledBack(judged)
	return judged
}

func inOrder(judged []VerdictSpan) []VerdictSpan {
	slices.SortFunc(judged, func(a, b VerdictSpan) int { return int(a.Range.From - b.Range.From) })
	return judged
}

// Refetch is what to fetch so that nothing is stale: the stale stretches and, between two that are stale because
// their emptiness has aged, the candles that come with the same pages. Stretches must be in order of time.
func Refetch(judged []VerdictSpan) (ranges []candle.Range) {
	var between candle.Range // candles since the last aged stretch
	aged := false
	for _, j := range judged {
		switch {
		case !j.Stale:
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

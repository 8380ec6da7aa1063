package coverage_test

import (
	"slices"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

func minuteSpan(from, to int64) candle.Range { return candle.Range{From: 60 * from, To: 60 * to} }

// What was requested and is not served has its verdict, and is stale, up to the edges of what was requested.
func TestWhatIsHiddenOrCancelledIsDue(t *testing.T) {
	t.Parallel()
	undone, served, cancelled := uuid.New(), uuid.New(), uuid.New()
	answer := func(run uuid.UUID, r candle.Range) coverage.FetchRecord {
		return coverage.FetchRecord{Token: testToken, Range: r, RunID: run, Answered: true, Confirmed: true, At: stale}
	}
	hidden := answer(undone, minuteSpan(10, 40))
	hidden.HiddenBy = undone
	late := answer(served, minuteSpan(80, 85))
	late.RequestedTo = 60 * 90 // the rest had not closed
	h := coverage.TokenHistory{
		Token: testToken, Interval: candle.Interval1m, Have: []candle.Range{minuteSpan(20, 25)},
		Fetches: []coverage.FetchRecord{
			{Token: testToken, Range: minuteSpan(0, 10), RunID: cancelled, Cancelled: true, At: stale},
			hidden,
			answer(served, minuteSpan(20, 30)),
			late,
		},
	}
	want := []coverage.VerdictSpan{
		{minuteSpan(0, 10), coverage.CancelledChunk, 10, true, nil},
		{minuteSpan(10, 20), coverage.RolledBack, 10, true, []uuid.UUID{undone}},
		{minuteSpan(20, 25), coverage.Have, 5, false, nil},
		{minuteSpan(25, 30), coverage.ConfirmedEmpty, 5, false, nil},
		{minuteSpan(30, 40), coverage.RolledBack, 10, true, []uuid.UUID{undone}},
		{minuteSpan(40, 80), coverage.NeverAsked, 40, false, nil},
		{minuteSpan(80, 85), coverage.ConfirmedEmpty, 5, false, nil},
		{minuteSpan(85, 90), coverage.NeverAsked, 5, true, nil},
	}
	m := coverage.Moment{Now: coverageNow}
	require.Equal(t, want, h.JudgeRequested(uuid.Nil, m), "between what was asked for nothing is due")
	require.Equal(t, want[:1], h.JudgeRequested(cancelled, m))
	want[5].Stale = true
	require.Equal(t, want, h.Judge(h.Span(), m), "a range that is given is asked for whole")
	require.Empty(t, h.JudgeRequested(uuid.New(), m))
}

// Minute by minute: the verdict is the one that a reader of design's list gives, and what is due is what a plan misses.
func TestVerdictsEqualModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, verdictsEqualModel)
}

func FuzzVerdicts(f *testing.F) { f.Fuzz(rapid.MakeFuzz(verdictsEqualModel)) }

func verdictsEqualModel(t *rapid.T) {
	span := func(label string) candle.Range {
		from := rapid.Int64Range(0, 50).Draw(t, label)
		return minuteSpan(from, from+rapid.Int64Range(1, 20).Draw(t, label))
	}
	h := coverage.TokenHistory{Token: testToken, Interval: candle.Interval1m}
	for range rapid.IntRange(0, 3).Draw(t, "stretches") {
		h.Have = append(h.Have, span("have"))
	}
	h.Have = candle.Merge(h.Have)
	for range rapid.IntRange(0, 8).Draw(t, "outcomes") {
		a := coverage.FetchRecord{Token: testToken, Range: span("asked"), RunID: uuid.New(), At: stale, Confirmed: rapid.Bool().Draw(t, "confirmed")}
		switch rapid.IntRange(0, 3).Draw(t, "outcome") {
		case 0:
			a.Answered = true
		case 1:
			a.Answered, a.HiddenBy = true, a.RunID
		case 2:
			a.Cancelled = true
		}
		h.Fetches = append(h.Fetches, a)
		if a.Counts() && rapid.Bool().Draw(t, "corrupt") {
			h.Rejected = append(h.Rejected, coverage.RejectedRange{Token: testToken, RunID: a.RunID, Range: a.Range.Intersect(span("corrupt"))})
		}
	}
	slices.SortStableFunc(h.Fetches, func(a, b coverage.FetchRecord) int { return int(a.Range.From - b.Range.From) })
	whole := minuteSpan(0, 80)
	covered, end := coverage.NewFilter(wanting(whole), h.Interval, coverageNow), whole.From
	for _, r := range h.Rejected {
		covered.AddRejected(r)
	}
	for _, a := range h.Fetches {
		covered.Add(a)
	}
	var missing []candle.Range
	for _, m := range covered.Missing() {
		missing = m.Ranges
	}
	for _, j := range h.Judge(whole, coverage.Moment{Now: coverageNow}) {
		require.Equal(t, end, j.Range.From, "each minute once")
		end = j.Range.To
		for open := j.Range.From; open < j.Range.To; open += 60 {
			verdict, by := modelVerdict(h, open)
			require.Equal(t, verdict, j.Verdict, "minute %d", open/60)
			require.Subset(t, j.RolledBack, by)
			require.Equal(t, slices.ContainsFunc(missing, func(r candle.Range) bool { return r.Contains(open) }), j.Stale)
		}
	}
	require.Equal(t, whole.To, end)
}

// modelVerdict reads the list from its top.
func modelVerdict(h coverage.TokenHistory, open int64) (coverage.Verdict, []uuid.UUID) {
	if slices.ContainsFunc(h.Have, func(r candle.Range) bool { return r.Contains(open) }) {
		return coverage.Have, nil
	}
	var counted, confirmed, failed, cancelled bool
	var by []uuid.UUID
	for _, a := range h.Fetches {
		switch {
		case !a.Range.Contains(open):
		case a.Counts():
			counted, confirmed = true, confirmed || a.Confirmed
		case a.Answered:
			by = append(by, a.HiddenBy)
		case a.Cancelled:
			cancelled = true
		default:
			failed = true
		}
	}
	corrupt := slices.ContainsFunc(h.Rejected, func(r coverage.RejectedRange) bool { return r.Range.Contains(open) })
	switch {
	case len(by) > 0 && !counted:
		return coverage.RolledBack, by
	case corrupt:
		return coverage.RejectedCandle, nil
	case failed && !counted:
		return coverage.FailedToFetch, nil
	case cancelled && !counted:
		return coverage.CancelledChunk, nil
	case counted && !confirmed:
		return coverage.Unconfirmed, nil
	case counted:
		return coverage.ConfirmedEmpty, nil
	}
	return coverage.NeverAsked, nil
}

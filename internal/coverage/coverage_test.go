package coverage_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

var (
	testToken   = candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}
	coverageNow = time.Unix(1_000_000, 0)
	fresh       = coverageNow.Add(-coverage.RecheckAfter + time.Minute)
	stale       = coverageNow.Add(-coverage.RecheckAfter - time.Minute)
)

func wanting(r ...candle.Range) []candle.TokenRanges {
	return []candle.TokenRanges{{Token: testToken, Ranges: r}}
}

func TestWhatCoversARange(t *testing.T) {
	t.Parallel()
	all := candle.Range{From: 0, To: 6_000}
	run := uuid.New()
	answer := coverage.FetchRecord{Token: testToken, Range: candle.Range{From: 600, To: 1_200}, RunID: run, Answered: true, Confirmed: true, At: stale}
	hole := coverage.RejectedRange{Token: testToken, RunID: run, Range: candle.Range{From: 660, To: 720}}
	with := func(change func(*coverage.FetchRecord)) coverage.FetchRecord { a := answer; change(&a); return a }
	around := []candle.Range{{From: 0, To: 600}, {From: 1_200, To: 6_000}}
	for name, test := range map[string]struct {
		asked    coverage.FetchRecord
		rejected []coverage.RejectedRange
		missing  []candle.Range
		needed   int64
	}{
		"an answer":                           {answer, nil, around, 10},
		"a failure":                           {with(func(a *coverage.FetchRecord) { a.Answered = false }), nil, []candle.Range{all}, 0},
		"silence of a source that had none":   {with(func(a *coverage.FetchRecord) { a.Confirmed = false }), nil, []candle.Range{all}, 0},
		"such silence of today":               {with(func(a *coverage.FetchRecord) { a.Confirmed = false; a.At = fresh }), nil, around, 10},
		"an answer with a corrupt candle":     {answer, []coverage.RejectedRange{hole}, []candle.Range{{From: 0, To: 600}, {From: 660, To: 720}, {From: 1_200, To: 6_000}}, 9},
		"a corrupt candle of today":           {with(func(a *coverage.FetchRecord) { a.At = fresh }), []coverage.RejectedRange{hole}, around, 10},
		"a corrupt candle of another run":     {answer, []coverage.RejectedRange{{Token: testToken, RunID: uuid.New(), Range: hole.Range}}, around, 10},
		"an answer about something else":      {with(func(a *coverage.FetchRecord) { a.Range = candle.Range{From: 9_000, To: 9_600} }), nil, []candle.Range{all}, 0},
		"an answer about another token":       {with(func(a *coverage.FetchRecord) { a.Token.Address = "x" }), nil, []candle.Range{all}, 0},
		"an answer that reaches over the end": {with(func(a *coverage.FetchRecord) { a.Range.To = 9_000 }), nil, []candle.Range{{From: 0, To: 600}}, 90},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := coverage.NewFilter(wanting(all), candle.Interval1m, coverageNow)
			for _, r := range test.rejected {
				c.AddRejected(r)
			}
			c.Add(test.asked)
			require.Equal(t, wanting(test.missing...), c.Missing())
			require.Equal(t, test.needed, c.Dependencies()[run])
		})
	}
}

// Moment by moment: the plan of what is missing holds each wanted candle that no answer covers, once, on the grid, and no
// other, wherever ranges begin and end.
func TestPlanOfTheMissingEqualsModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, planOfTheMissing)
}

func FuzzPlanOfTheMissing(f *testing.F) { f.Fuzz(rapid.MakeFuzz(planOfTheMissing)) }

func planOfTheMissing(t *rapid.T) {
	interval := rapid.SampledFrom([]candle.Interval{candle.Interval1s, candle.Interval15s, candle.Interval1m, candle.Interval1h}).Draw(t, "interval")
	second := rapid.Int64Range(-50*interval.Seconds(), 150*interval.Seconds())
	span := func(label string) candle.Range {
		a, b := second.Draw(t, label), second.Draw(t, label)
		return candle.Range{From: min(a, b), To: max(a, b)}
	}
	opens := func(r candle.Range) (all []int64) {
		for open := interval.Ceil(r.From); open < r.To; open += interval.Seconds() {
			all = append(all, open)
		}
		return all
	}
	request := backfill.Request{Source: "s", Interval: interval}
	wanted := map[int64]bool{}
	for range rapid.IntRange(1, 3).Draw(t, "ranges") {
		r := span("wanted")
		request.Wanted = append(request.Wanted, candle.TokenRanges{Token: testToken, Ranges: []candle.Range{r}})
		for _, open := range opens(r) {
			wanted[open] = true
		}
	}
	request.Normalize()
	c := coverage.NewFilter(request.Wanted, interval, coverageNow)
	var asked []coverage.FetchRecord
	var rejected []coverage.RejectedRange
	for range rapid.IntRange(0, 12).Draw(t, "outcomes") {
		a := coverage.FetchRecord{
			Token: testToken, Range: span("asked"), RunID: uuid.New(), Answered: rapid.Bool().Draw(t, "answered"),
			Confirmed: rapid.Bool().Draw(t, "confirmed"), At: rapid.SampledFrom([]time.Time{fresh, stale}).Draw(t, "ended"),
		}
		asked = append(asked, a)
		if rapid.Bool().Draw(t, "corrupt") {
			rejected = append(rejected, coverage.RejectedRange{Token: testToken, RunID: a.RunID, Range: span("corrupt")})
		}
	}
	for _, r := range rejected {
		c.AddRejected(r)
	}
	for _, a := range asked {
		c.Add(a)
		for _, open := range opens(a.Range) {
			corrupt := slices.ContainsFunc(rejected, func(r coverage.RejectedRange) bool { return r.RunID == a.RunID && r.Range.Contains(open) })
			if a.Answered && (a.At.Equal(fresh) || a.Confirmed && !corrupt) {
				delete(wanted, open)
			}
		}
	}
	request.Wanted = c.Missing()
	plan, err := backfill.NewPlan(context.Background(), request, backfill.PlanOptions{Now: coverageNow, Cut: backfill.Cut{Candles: 7}})
	require.NoError(t, err)
	planned := map[int64]bool{}
	for _, chunk := range plan.Chunks {
		require.True(t, interval.OnGrid(chunk.Range.From) && interval.OnGrid(chunk.Range.To), "off the grid: %s", chunk.Range)
		for _, open := range opens(chunk.Range) {
			require.False(t, planned[open], "planned twice")
			planned[open] = true
		}
	}
	require.True(t, maps.Equal(wanted, planned), "wanted %v, planned %v", wanted, planned)
}

func TestEachMomentHasOneVerdict(t *testing.T) {
	t.Parallel()
	run := uuid.New()
	span := func(from, to int64) candle.Range { return candle.Range{From: 60 * from, To: 60 * to} }
	h := coverage.TokenHistory{
		Token: testToken, Interval: candle.Interval1m, Have: []candle.Range{span(0, 10), span(12, 20)},
		Fetches: []coverage.FetchRecord{
			{Token: testToken, Range: span(0, 30), RunID: run, Answered: true, Confirmed: true, At: stale},
			{Token: testToken, Range: span(25, 40), RunID: run, At: stale},
		},
		Rejected: []coverage.RejectedRange{{Token: testToken, RunID: run, Range: span(10, 11)}},
	}
	require.Equal(t, span(0, 40), h.Span())
	require.Equal(t, []coverage.VerdictSpan{
		{span(0, 10), coverage.Have, 10, false, nil},
		{span(10, 11), coverage.RejectedCandle, 1, true, nil},
		{span(11, 12), coverage.ConfirmedEmpty, 1, false, nil},
		{span(12, 20), coverage.Have, 8, false, nil},
		{span(20, 30), coverage.ConfirmedEmpty, 10, false, nil},
		{span(30, 40), coverage.FailedToFetch, 10, true, nil},
		{span(40, 50), coverage.NeverAsked, 10, true, nil},
	}, h.Judge(span(0, 50), coverage.Moment{Now: coverageNow}))
	silent := coverage.TokenHistory{Token: testToken, Interval: candle.Interval1m, Fetches: []coverage.FetchRecord{{Token: testToken, Range: span(0, 5), RunID: run, Answered: true, At: stale}}}
	require.Equal(t, []coverage.VerdictSpan{{span(0, 5), coverage.Unconfirmed, 5, true, nil}}, silent.Judge(span(0, 5), coverage.Moment{Now: coverageNow}))
	require.Empty(t, silent.Judge(candle.Range{}, coverage.Moment{Now: coverageNow}))
}

func BenchmarkCoverageOf100000Tokens(b *testing.B) {
	wanted := make([]candle.TokenRanges, 100_000)
	for i := range wanted {
		wanted[i] = candle.TokenRanges{Token: candle.Token{Chain: candle.Solana, Address: uuid.NewString()}, Ranges: []candle.Range{{From: 0, To: 60 * 200_000}}}
	}
	run := uuid.New()
	b.ReportAllocs()
	for b.Loop() {
		c := coverage.NewFilter(wanted, candle.Interval1m, coverageNow)
		for _, w := range wanted {
			for chunk := range int64(9) { // ten chunks each, the last one is missing
				c.Add(coverage.FetchRecord{Token: w.Token, Range: candle.Range{From: chunk * 1_200_000, To: (chunk + 1) * 1_200_000}, RunID: run, Answered: true, Confirmed: true, At: stale})
			}
		}
		if missing := c.Missing(); len(missing) != len(wanted) {
			b.Fatal(len(missing))
		}
	}
}

// Services fill in later: what was young when it was confirmed to be empty is fetched once more, a week later, with what
// lies between its first and its last missing candle, because that comes with the same pages.
func TestYoungEmptinessIsAskedForOnceMore(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	now := time.Unix(100*86_400, 0)
	minutes := func(from, to int64) candle.Range {
		return candle.Range{From: 60*86_400 + 60*from, To: 60*86_400 + 60*to}
	}
	end := time.Unix(minutes(0, 100).To, 0)
	all := minutes(0, 100)
	have := []candle.Range{minutes(0, 40), minutes(41, 60), minutes(70, 100)}
	hull := []candle.Range{minutes(40, 70)}
	for name, test := range map[string]struct {
		answered []time.Time
		have     []candle.Range
		now      time.Time
		stale    []candle.Range
	}{
		"a week has not passed":             {[]time.Time{end}, have, end.Add(7*day - time.Second), nil},
		"it has":                            {[]time.Time{end}, have, end.Add(7*day + time.Second), hull},
		"asked for once more":               {[]time.Time{end, end.Add(8 * day)}, have, now, nil},
		"asked for a second time too early": {[]time.Time{end, end.Add(3 * day)}, have, end.Add(9 * day), nil},
		"and a week after that":             {[]time.Time{end, end.Add(3 * day)}, have, end.Add(11 * day), hull},
		"it was old":                        {[]time.Time{end.Add(7 * day)}, have, now, nil},
		"a part of it was old":              {[]time.Time{end.Add(7*day - 50*time.Minute)}, have, now, []candle.Range{minutes(60, 70)}},
		"nothing is missing":                {[]time.Time{end}, []candle.Range{all}, now, nil},
		"nothing is there":                  {[]time.Time{end}, nil, now, []candle.Range{all}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := uuid.New()
			c := coverage.NewFilter(wanting(all), candle.Interval1m, test.now)
			h := coverage.TokenHistory{Token: testToken, Interval: candle.Interval1m, Have: test.have}
			for _, at := range test.answered {
				a := coverage.FetchRecord{Token: testToken, Range: all, RunID: run, Answered: true, Confirmed: true, At: at}
				c.Add(a)
				h.Fetches = append(h.Fetches, a)
			}
			if aged, span := c.Aged(); len(aged) > 0 {
				require.Equal(t, []candle.Token{testToken}, aged)
				require.Equal(t, all.To, span.To)
			}
			c.AddHave(testToken, test.have)
			var missing []candle.Range
			for _, m := range c.Missing() {
				missing = append(missing, m.Ranges...)
			}
			require.Equal(t, test.stale, missing)
			judged := h.Judge(all, coverage.Moment{Now: test.now})
			require.ElementsMatch(t, test.stale, coverage.Refetch(judged), "gaps --fetch asks for what a plan asks for")
			for _, j := range judged {
				require.NotEqual(t, coverage.NeverAsked, j.Verdict)
			}
		})
	}
}

func TestWhatIsStillOpenHasNoVerdict(t *testing.T) {
	t.Parallel()
	h := coverage.TokenHistory{Token: testToken, Interval: candle.Interval1m}
	now := time.Unix(6_030, 0)
	whole := candle.Range{From: 0, To: 12_000}
	judged := h.Judge(whole, coverage.Moment{Now: now, SettleDelay: 2 * time.Minute})
	require.Equal(t, []coverage.VerdictSpan{{candle.Range{From: 0, To: 5_880}, coverage.NeverAsked, 98, true, nil}}, judged)
	plan, err := backfill.NewPlan(t.Context(), backfill.Request{Interval: candle.Interval1m, Wanted: wanting(whole)}, backfill.PlanOptions{Now: now, SettleDelay: 2 * time.Minute, Cut: backfill.Cut{Candles: 1_000}})
	require.NoError(t, err)
	require.Equal(t, judged[0].Range, plan.Range, "what a plan would ask for")
	require.Empty(t, h.Judge(candle.Range{From: 6_000, To: 12_000}, coverage.Moment{Now: now}))
}

package backfill

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

// planFakes are the history and the ledger that a Planner reads.
type planFakes struct {
	records  []coverage.FetchRecord
	fetching map[uuid.UUID]candle.Range // of testToken
	states   map[uuid.UUID]LedgerState
	// coverageErr, liveErr and stateErr are what reading fails with.
	coverageErr, liveErr, stateErr error
	queries                        []CoverageQuery
}

func (f *planFakes) FillCoverage(_ context.Context, q CoverageQuery, filter *coverage.Filter) error {
	f.queries = append(f.queries, q)
	for _, record := range f.records {
		filter.Add(record)
	}
	return f.coverageErr
}

func (f *planFakes) LiveRuns(context.Context, CoverageQuery) (runs []LiveRun, err error) {
	for id := range f.fetching {
		runs = append(runs, LiveRun{RunID: id, Attempt: 1})
	}
	slices.SortFunc(runs, func(a, b LiveRun) int { return slices.Compare(a.RunID[:], b.RunID[:]) })
	return runs, f.liveErr
}

func (f *planFakes) FillBeingFetched(_ context.Context, _ CoverageQuery, runs []LiveRun, being *BeingFetched) error {
	for _, run := range runs {
		being.Add(run.RunID, testToken, f.fetching[run.RunID])
	}
	return nil
}

func (f *planFakes) State(_ context.Context, runID uuid.UUID) (LedgerState, error) {
	if f.stateErr != nil {
		return LedgerState{}, f.stateErr
	}
	state, known := f.states[runID]
	if !known {
		return state, ErrUnknownRun
	}
	return state, nil
}

// rules cut after 100 candles and take a call and 10 credits a chunk.
type rules struct{ Source }

func (rules) Cut(candle.Interval) Cut                 { return Cut{Candles: 100} }
func (rules) Cost(candle.Interval, candle.Range) Cost { return Cost{Calls: 1, Credits: 10} }
func (f *planFakes) planner() *Planner {
	return &Planner{History: f, Ledger: f, Logger: slog.New(slog.DiscardHandler)}
}

func minutes(from, to int64) candle.Range { return candle.Range{From: 60 * from, To: 60 * to} }

func planRequest() PlanRequest {
	return PlanRequest{
		Request: Request{
			Source: "a", Fallbacks: []string{"b"}, Interval: candle.Interval1m, Validation: candle.Strict,
			Wanted: []candle.TokenRanges{{Token: testToken, Ranges: []candle.Range{minutes(0, 1_000)}}},
		},
		Rules: rules{}, Now: time.Unix(60*900+30, 0), SettleDelay: time.Minute, // 899 candles have closed
	}
}

func TestAPlanLeavesOutWhatIsCoveredAndWhatIsBeingFetched(t *testing.T) {
	t.Parallel()
	earlier, live := uuid.UUID{1}, uuid.UUID{2}
	f := &planFakes{
		records: []coverage.FetchRecord{{
			Token: testToken, Range: minutes(0, 300), RunID: earlier, Answered: true, Confirmed: true, At: time.Unix(60*400, 0),
		}},
		fetching: map[uuid.UUID]candle.Range{live: minutes(200, 500)},
	}
	planned, err := f.planner().Plan(t.Context(), planRequest())
	require.NoError(t, err)
	require.EqualValues(t, 399, planned.Candles)
	require.EqualValues(t, 300, planned.Covered)
	require.Equal(t, Cost{Calls: 4, Credits: 40}, planned.Cost)
	require.Equal(t, Cost{Calls: 3, Credits: 30}, planned.Saved, "by what is covered")
	require.Equal(t, map[uuid.UUID]int64{earlier: 300, live: 200}, planned.Dependencies)
	require.Len(t, planned.LeftOut, 1)
	plan, err := planned.Build(t.Context())
	require.NoError(t, err)
	require.Equal(t, minutes(500, 899), plan.Range)
	require.Len(t, plan.Chunks, planned.Chunks)
	require.Equal(t, []CoverageQuery{{
		Sources: []string{"a", "b"}, Validation: candle.Strict, Interval: candle.Interval1m, Range: minutes(0, 899), Tokens: []candle.Token{testToken},
	}}, f.queries)
}

// Whatever cannot be read leads to a larger plan (R7); whoever asks for everything gets it.
func TestAPlanWithoutItsStoresIsWhole(t *testing.T) {
	t.Parallel()
	covered := coverage.FetchRecord{Token: testToken, Range: minutes(0, 300), RunID: uuid.UUID{1}, Answered: true, Confirmed: true, At: time.Unix(60*400, 0)}
	for name, test := range map[string]struct {
		fakes   planFakes
		change  func(*Planner, *PlanRequest)
		candles int64
	}{
		"no history":                 {change: func(p *Planner, _ *PlanRequest) { p.History = nil }, candles: 899},
		"no resume":                  {change: func(_ *Planner, r *PlanRequest) { r.NoResume = true }, candles: 899},
		"coverage unreadable":        {fakes: planFakes{coverageErr: io.ErrUnexpectedEOF}, candles: 899},
		"forced":                     {change: func(_ *Planner, r *PlanRequest) { r.Force = true }, candles: 599},
		"live runs unreadable":       {fakes: planFakes{liveErr: io.ErrUnexpectedEOF}, candles: 599},
		"ledger unreadable":          {fakes: planFakes{stateErr: io.ErrUnexpectedEOF}, candles: 599},
		"the run is being cancelled": {fakes: planFakes{states: map[uuid.UUID]LedgerState{{2}: {Cancelled: true}}}, candles: 599},
		"the run has ended":          {fakes: planFakes{states: map[uuid.UUID]LedgerState{{2}: {Result: &RunRecord{}}}}, candles: 599},
		"the run is under way":       {fakes: planFakes{states: map[uuid.UUID]LedgerState{{2}: {}}}, candles: 399},
		"Redis lost the run":         {candles: 399},
		"no ledger":                  {change: func(p *Planner, _ *PlanRequest) { p.Ledger = nil }, candles: 399},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := test.fakes
			f.records, f.fetching = []coverage.FetchRecord{covered}, map[uuid.UUID]candle.Range{{2}: minutes(200, 500)}
			planner, request := f.planner(), planRequest()
			if test.change != nil {
				test.change(planner, &request)
			}
			planned, err := planner.Plan(t.Context(), request)
			require.NoError(t, err)
			require.Equal(t, test.candles, planned.Candles)
		})
	}
}

func TestAnInterruptedPlanIsNone(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := (&planFakes{coverageErr: io.ErrUnexpectedEOF}).planner().Plan(ctx, planRequest())
	require.ErrorIs(t, err, context.Canceled)
}

func TestMissingCountsWhatARunWouldAskFor(t *testing.T) {
	t.Parallel()
	f := &planFakes{records: []coverage.FetchRecord{{
		Token: testToken, Range: minutes(0, 300), RunID: uuid.UUID{1}, Answered: true, Confirmed: true, At: time.Unix(60*400, 0),
	}}}
	missing, err := f.planner().Missing(t.Context(), planRequest().Request, time.Unix(60*900, 0))
	require.NoError(t, err)
	require.EqualValues(t, 700, missing)
	f.coverageErr = io.ErrUnexpectedEOF
	_, err = f.planner().Missing(t.Context(), planRequest().Request, time.Unix(60*900, 0))
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}

func TestCapsRefuseWhatIsAboveThem(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		caps           Caps
		refused, calls bool
	}{
		"none":          {Caps{}, false, false},
		"as many":       {Caps{Calls: 4, Credits: 40}, false, false},
		"fewer calls":   {Caps{Calls: 3}, true, true},
		"fewer credits": {Caps{Calls: 4, Credits: 39}, true, false},
		"fewer of both": {Caps{Calls: 3, Credits: 39}, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := test.caps.Check(Cost{Calls: 4, Credits: 40})
			require.Equal(t, test.refused, err != nil)
			if exceeded, ok := errors.AsType[*CapExceededError](err); ok {
				require.Equal(t, test.calls, exceeded.CallsExceeded())
			}
		})
	}
}

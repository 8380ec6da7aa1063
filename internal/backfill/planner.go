package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

// PlanHistory is what a Planner reads of earlier runs.
type PlanHistory interface {
	// FillCoverage adds the fetch records of the query to the filter. Tokens other than those of the query may come, too.
	FillCoverage(ctx context.Context, q CoverageQuery, filter *coverage.Filter) error
	// LiveRuns lists the runs under way whose records would cover what the query is about, the oldest first.
	LiveRuns(ctx context.Context, q CoverageQuery) ([]LiveRun, error)
	// FillBeingFetched adds the chunks of these runs that have no outcome. Tokens other than those of the query may come, too.
	FillBeingFetched(ctx context.Context, q CoverageQuery, runs []LiveRun, being *BeingFetched) error
}

// PlanLedger is what a Planner reads of runs under way.
type PlanLedger interface {
	// State returns the live state of a run, or ErrUnknownRun.
	State(ctx context.Context, runID uuid.UUID) (LedgerState, error)
}

// Planner says what a run has to fetch: what is wanted, without what is covered, without what other runs under way fetch, and
// without what has not closed. Trouble with reading leads to a larger plan and a warning, never to none (R7).
type Planner struct {
	// History is nil where it cannot be read: then everything that is wanted is planned.
	History PlanHistory
	// Ledger says which runs will fetch nothing more, although the history does not know it yet; nil = not asked.
	Ledger PlanLedger
	Logger *slog.Logger
}

// PlanRequest is a request with what its plan depends on.
type PlanRequest struct {
	Request
	// Rules are those of the request's source: they cut and price the plan.
	Rules Source
	// Now is by the stores' clock, and SettleDelay the longest of the source and its fallbacks.
	Now         time.Time
	SettleDelay time.Duration
	// NoResume also plans what is covered or being fetched, Force what is being fetched.
	NoResume bool
	Force    bool
}

func (r *PlanRequest) options() PlanOptions {
	return PlanOptions{Now: r.Now, SettleDelay: r.SettleDelay, Cut: r.Rules.Cut(r.Interval)}
}

// Planned is how much a run will fetch, and what that takes; Build cuts its chunks.
type Planned struct {
	// PlanSize has the most that it can cost; Saved is what it would cost in addition without coverage.
	PlanSize
	Saved Cost
	// Covered counts the wanted candles that are left out because earlier runs fetched them.
	Covered int64
	// LeftOut is what is left out because runs under way have yet to fetch it.
	LeftOut []LeftOut
	// Dependencies are the runs that something is left out for, in either way, with how many candles.
	Dependencies map[uuid.UUID]int64

	request PlanRequest
}

// Plan sizes the run. Its error is a *PlanTooLargeError, or the context's.
func (p *Planner) Plan(ctx context.Context, request PlanRequest) (Planned, error) {
	whole, err := SizePlan(ctx, request.Request, request.options(), request.Rules.Cost)
	if err != nil {
		return Planned{}, err
	}
	planned := Planned{PlanSize: whole, request: request}
	if request.NoResume || p.History == nil {
		return planned, nil
	}
	// Before what is covered, so that a chunk that ends in between is seen by one of the two.
	being := p.beingFetched(ctx, &request, whole.Range)
	filter := coverage.NewFilter(request.Wanted, request.Interval, request.Now)
	if err := p.History.FillCoverage(ctx, request.coverageQuery(whole.Range), filter); err != nil {
		if ctx.Err() != nil {
			return Planned{}, ctx.Err()
		}
		p.Logger.WarnContext(ctx, "coverage not readable, planning everything", "err", err)
		return planned, nil
	}
	if err := planned.want(ctx, filter.Missing()); err != nil {
		return Planned{}, err
	}
	planned.Saved = Cost{Calls: whole.Cost.Calls - planned.Cost.Calls, Credits: whole.Cost.Credits - planned.Cost.Credits}
	planned.Covered, planned.Dependencies = whole.Candles-planned.Candles, filter.Dependencies()
	return planned, planned.leaveOut(ctx, being)
}

// want replaces what is wanted, and measures again.
func (p *Planned) want(ctx context.Context, wanted []candle.TokenRanges) (err error) {
	p.request.Wanted = wanted
	p.PlanSize, err = SizePlan(ctx, p.request.Request, p.request.options(), p.request.Rules.Cost)
	return err
}

// leaveOut leaves to others what they are fetching. It is no coverage: nobody has fetched it yet.
func (p *Planned) leaveOut(ctx context.Context, being *BeingFetched) error {
	rest, left := being.LeaveOut(p.request.Wanted)
	if len(left) == 0 {
		return nil
	}
	p.LeftOut = left
	for _, l := range left {
		p.Dependencies[l.RunID] += l.Candles
	}
	return p.want(ctx, rest)
}

// Build cuts the chunks.
func (p *Planned) Build(ctx context.Context) (Plan, error) {
	return NewPlan(ctx, p.request.Request, p.request.options())
}

// beingFetched is what runs under way have yet to fetch of what is wanted; nothing with Force, and where it cannot be read.
func (p *Planner) beingFetched(ctx context.Context, request *PlanRequest, r candle.Range) *BeingFetched {
	none := NewBeingFetched(nil, request.Interval)
	if request.Force {
		return none
	}
	q := request.coverageQuery(r)
	runs, err := p.History.LiveRuns(ctx, q)
	if err == nil && p.Ledger != nil {
		runs, err = p.withoutEnding(ctx, runs)
	}
	being := NewBeingFetched(request.Wanted, request.Interval)
	if err == nil {
		err = p.History.FillBeingFetched(ctx, q, runs, being)
	}
	if err != nil {
		p.Logger.WarnContext(ctx, "what other runs are fetching is not readable, planning it, too", "err", err)
		return none
	}
	return being
}

// withoutEnding leaves out the runs that will fetch nothing more, although the history does not know it yet. One that the ledger
// lost is rebuilt.
func (p *Planner) withoutEnding(ctx context.Context, runs []LiveRun) ([]LiveRun, error) {
	var failed error
	going := slices.DeleteFunc(runs, func(run LiveRun) bool {
		s, err := p.Ledger.State(ctx, run.RunID)
		if err != nil && !errors.Is(err, ErrUnknownRun) {
			failed = err
		}
		return err == nil && (s.Cancelled || s.Result != nil)
	})
	return going, failed
}

// Missing counts the candles of the request that a run would ask for now.
func (p *Planner) Missing(ctx context.Context, request Request, now time.Time) (missing int64, err error) {
	request.Normalize()
	var reach candle.Range
	for _, w := range request.Wanted {
		for _, r := range w.Ranges {
			reach = span(reach, r)
		}
	}
	filter := coverage.NewFilter(request.Wanted, request.Interval, now)
	if err := p.History.FillCoverage(ctx, request.coverageQuery(reach), filter); err != nil {
		return 0, err
	}
	for _, w := range filter.Missing() {
		for _, r := range w.Ranges {
			missing += r.Candles(request.Interval)
		}
	}
	return missing, nil
}

// coverageQuery asks for what covers the request inside the range.
func (r *Request) coverageQuery(inside candle.Range) CoverageQuery {
	q := CoverageQuery{
		Sources: r.Sources(), Validation: r.Validation, Interval: r.Interval, Range: inside,
		Outliers: r.Outliers, NoPublishedFiles: r.NoPublishedFiles,
	}
	for _, w := range r.Wanted {
		q.Tokens = append(q.Tokens, w.Token)
	}
	return q
}

// Caps are the most that plans may cost together; 0 = any number.
type Caps struct{ Calls, Credits int64 }

// CapExceededError refuses plans that may cost more than their caps.
type CapExceededError struct {
	Cost Cost
	Caps Caps
}

func (e *CapExceededError) Error() string {
	return fmt.Sprintf("the plan may take %d API calls and %d credits, above the caps of %d and %d", e.Cost.Calls, e.Cost.Credits, e.Caps.Calls, e.Caps.Credits)
}

// CallsExceeded reports whether it is the calls that are too many, else it is the credits.
func (e *CapExceededError) CallsExceeded() bool {
	return e.Caps.Calls > 0 && e.Cost.Calls > e.Caps.Calls
}

// Check returns a *CapExceededError where the cost is above a cap.
func (c Caps) Check(cost Cost) error {
	if e := (&CapExceededError{Cost: cost, Caps: c}); e.CallsExceeded() || c.Credits > 0 && cost.Credits > c.Credits {
		return e
	}
	return nil
}

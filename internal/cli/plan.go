package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/coverage"
	"quantbot/internal/wiring"
)

// planned is how much a run will fetch, and what that takes; build gives its chunks.
type planned struct {
	// PlanSize has the most that it can cost; Saved is what it would cost in addition without coverage.
	backfill.PlanSize
	Saved backfill.Cost
	// Covered counts the wanted candles that are left out because earlier runs have answered for them.
	Covered int64
	// LeftOut is what is left out because runs that are going on have yet to fetch it.
	LeftOut []backfill.LeftOut
	// Relied are the runs that something is left out for, in either way, with how many candles.
	Relied map[uuid.UUID]int64

	request backfill.Request
	options backfill.PlanOptions
}

// plan leaves out what is covered, what is being fetched, and what has not closed at now, which is by the stores' clock, for
// one of the sources. What cannot be read is ignored, with a warning (R7); history and state may be nil.
func (a *app) plan(ctx context.Context, history *clickhouse.DB, state stateFunc, in ingestion, source backfill.Source, now time.Time) (planned, error) {
	options := backfill.PlanOptions{Now: now, SettleDelay: in.settleDelay, Cut: source.Cut(in.request.Interval)}
	whole, err := backfill.SizePlan(ctx, in.request, options, source.Cost)
	if err != nil {
		return planned{}, planError(err)
	}
	p := planned{PlanSize: whole, request: in.request, options: options}
	if in.options.noResume || history == nil {
		return p, nil
	}
	// Before what is covered, so that a chunk that ends in between is seen by one of the two.
	being := a.beingFetched(ctx, history, state, in, whole.Range)
	coverage := coverage.NewFilter(in.request.Wanted, in.request.Interval, now)
	if err := history.FillCoverage(ctx, coverageQuery(in, whole.Range), coverage); err != nil {
		if ctx.Err() != nil {
			return planned{}, ctx.Err()
		}
		a.logger().WarnContext(ctx, "coverage not readable, planning everything", "err", err)
		return p, nil
	}
	p.request.Wanted = coverage.Missing()
	if p.PlanSize, err = backfill.SizePlan(ctx, p.request, options, source.Cost); err != nil {
		return planned{}, planError(err)
	}
	p.Saved = backfill.Cost{Calls: whole.Cost.Calls - p.Cost.Calls, Credits: whole.Cost.Credits - p.Cost.Credits}
	p.Covered, p.Relied = whole.Candles-p.Candles, coverage.Dependencies()
	return p, p.leaveOut(ctx, being, source)
}

// leaveOut leaves to others what they are fetching. It is no coverage: nobody has answered for it yet.
func (p *planned) leaveOut(ctx context.Context, being *backfill.BeingFetched, source backfill.Source) (err error) {
	if p.request.Wanted, p.LeftOut = being.LeaveOut(p.request.Wanted); len(p.LeftOut) == 0 {
		return nil
	}
	for _, left := range p.LeftOut {
		p.Relied[left.RunID] += left.Candles
	}
	p.PlanSize, err = backfill.SizePlan(ctx, p.request, p.options, source.Cost)
	return planError(err)
}

// build cuts the chunks.
func (p *planned) build(ctx context.Context) (backfill.Plan, error) {
	plan, err := backfill.NewPlan(ctx, p.request, p.options)
	return plan, planError(err)
}

// planError refuses a plan that is too large, and says how to cut it.
func planError(err error) error {
	if tooLarge, ok := errors.AsType[*backfill.PlanTooLargeError](err); ok {
		return &exitError{exitRefused, fmt.Errorf("%w: take a larger --interval, a shorter --from to --to, or fewer tokens at a time", tooLarge)}
	}
	return err
}

func coverageQuery(in ingestion, r candle.Range) backfill.CoverageQuery {
	q := backfill.CoverageQuery{
		Sources: in.request.Sources(), Validation: in.request.Validation,
		Interval: in.request.Interval, Range: r, Outliers: in.request.Outliers, NoPublishedFiles: in.request.NoPublishedFiles,
	}
	for _, w := range in.request.Wanted {
		q.Tokens = append(q.Tokens, w.Token)
	}
	return q
}

// affordable refuses what costs more than the caps, before anything is started.
func affordable(cost backfill.Cost, o ingestOptions) error {
	switch {
	case o.maxCalls > 0 && cost.Calls > o.maxCalls:
		return &exitError{exitRefused, fmt.Errorf("the run may take %s, above --max-calls %d: nothing was started", counted(cost.Calls, "API call"), o.maxCalls)}
	case o.maxCredits > 0 && cost.Credits > o.maxCredits:
		return &exitError{exitRefused, fmt.Errorf("the run may take %s, above --max-credits %d: nothing was started", counted(cost.Credits, "credit"), o.maxCredits)}
	}
	return nil
}

// estimate is what --dry-run prints. Calls, credits and time are upper bounds.
type estimate struct {
	Interval        candle.Interval `json:"interval"`
	Chunks          int             `json:"chunks"`
	Tokens          int             `json:"tokens"`
	Candles         int64           `json:"candles"`
	CoveredCandles  int64           `json:"covered_candles"`
	LeftOut         []leftOut       `json:"being_fetched"`
	APICalls        int64           `json:"api_calls"`
	Credits         int64           `json:"credits"`
	SavedAPICalls   int64           `json:"saved_api_calls"`
	SavedCredits    int64           `json:"saved_credits"`
	CallsPerSecond  float64         `json:"calls_per_second"`
	DurationSeconds float64         `json:"duration_seconds"`
}

// dryRun writes nothing and asks no service.
func (a *app) dryRun(ctx context.Context, wanted []wantedRun) (err error) {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	history, err := wiring.OpenHistory(ctx, cfg, a.logger())
	if err != nil {
		a.logger().WarnContext(ctx, "coverage not readable, planning everything", "err", err)
		history = nil
	} else {
		defer func() { err = errors.Join(err, history.Close()) }()
	}
	return a.preview(ctx, cfg, history, wanted...)
}

// preview prints what the runs would take, and refuses what is above the caps. history may be nil.
func (a *app) preview(ctx context.Context, cfg config.Config, history *clickhouse.DB, wanted ...wantedRun) error {
	if history != nil {
		if err := a.refuseStranger(ctx, wiring.CheckServices(ctx, cfg, history, wanted[0].sources()...)); err != nil {
			return err
		}
		// A run would go on without its history, as far as it can: whoever only looks should know before.
		if err := history.CheckHistoryWritable(ctx); err != nil {
			a.logger().WarnContext(ctx, "the run's history could not be written from here", "err", err)
		}
	}
	var cost backfill.Cost
	for _, w := range wanted {
		p, err := a.plan(ctx, history, nil, w.ingestion, w.source, a.readTime(ctx, cfg, history))
		if err != nil {
			return err
		}
		cost = backfill.Cost{Calls: cost.Calls + p.Cost.Calls, Credits: cost.Credits + p.Cost.Credits}
		if err := a.printPlanned(cfg, w, p); err != nil {
			return err
		}
	}
	return affordable(cost, wanted[0].options)
}

// printPlanned prints what a run would take: in words on stderr where its own JSON follows.
func (a *app) printPlanned(cfg config.Config, w wantedRun, p planned) error {
	perSecond := wiring.CallsPerSecond(w.request.Source, cfg)
	e := estimate{
		Interval: w.request.Interval, Chunks: p.Chunks, Tokens: p.Tokens, Candles: p.Candles, CoveredCandles: p.Covered, LeftOut: leftOuts(p.LeftOut),
		APICalls: p.Cost.Calls, Credits: p.Cost.Credits, SavedAPICalls: p.Saved.Calls, SavedCredits: p.Saved.Credits,
		CallsPerSecond: perSecond, DurationSeconds: float64(p.Cost.Calls) / perSecond,
	}
	switch {
	case w.options.format != "json":
		a.printEstimate(a.stdout, e)
	case w.options.dryRun:
		return a.printJSON(e)
	default:
		a.printEstimate(a.stderr, e)
	}
	return nil
}

func (a *app) printEstimate(w io.Writer, e estimate) {
	fmt.Fprintf(w, "The run of %s candles would take at most:\n", e.Interval)
	fmt.Fprintf(w, "  chunks   %d of %s, up to %s\n", e.Chunks, counted(e.Tokens, "token"), counted(e.Candles, "candle"))
	fmt.Fprintf(w, "  api      %s, %s\n", counted(e.APICalls, "call"), counted(e.Credits, "credit"))
	duration := time.Duration(e.DurationSeconds * float64(time.Second)).Round(time.Second)
	fmt.Fprintf(w, "  time     %s at %g calls a second\n", max(duration, time.Second), e.CallsPerSecond)
	fmt.Fprintf(w, "  covered  %s by earlier runs, which saves %s and %s\n", counted(e.CoveredCandles, "candle"), counted(e.SavedAPICalls, "call"), counted(e.SavedCredits, "credit"))
	for _, left := range e.LeftOut {
		fmt.Fprintf(w, "  waiting  %s, and would be left out\n", left)
	}
}

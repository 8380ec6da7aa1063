package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// planner plans by the history and, unless that is only looked at, by the live runs; both may be nil.
func (a *app) planner(history *clickhouse.DB, live backfill.PlanLedger) *backfill.Planner {
	p := &backfill.Planner{Ledger: live, Logger: a.logger()}
	if history != nil {
		p.History = report.New(history)
	}
	return p
}

// plan plans all runs at one moment, and refuses what is above the caps.
func (a *app) plan(ctx context.Context, planner *backfill.Planner, caps backfill.Caps, now time.Time, runs []runRequest, planned func(runRequest, backfill.Planned) error) error {
	var cost backfill.Cost
	for i := range runs {
		runs[i].Now = now
		p, err := planner.Plan(ctx, runs[i].PlanRequest)
		if err != nil {
			return planError(err)
		}
		cost = backfill.Cost{Calls: cost.Calls + p.Cost.Calls, Credits: cost.Credits + p.Cost.Credits}
		if err := planned(runs[i], p); err != nil {
			return err
		}
	}
	return planError(caps.Check(cost))
}

// planError refuses a plan that is too large, or that may cost too much, and says what can be done.
func planError(err error) error {
	if tooLarge, ok := errors.AsType[*backfill.PlanTooLargeError](err); ok {
		return &exitError{exitRefused, fmt.Errorf("%w: take a larger --interval, a shorter --from to --to, or fewer tokens at a time", tooLarge)}
	}
	over, ok := errors.AsType[*backfill.CapExceededError](err)
	switch {
	case !ok:
		return err
	case over.CallsExceeded():
		return &exitError{exitRefused, fmt.Errorf("the run may take %s, above --max-calls %d: nothing was started", counted(over.Cost.Calls, "API call"), over.Caps.Calls)}
	}
	return &exitError{exitRefused, fmt.Errorf("the run may take %s, above --max-credits %d: nothing was started", counted(over.Cost.Credits, "credit"), over.Caps.Credits)}
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
func (a *app) dryRun(ctx context.Context, o launchOptions, runs []runRequest) (err error) {
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
	return a.preview(ctx, cfg, history, o, runs)
}

// preview prints what the runs would take, and refuses what is above the caps. history may be nil.
func (a *app) preview(ctx context.Context, cfg config.Config, history *clickhouse.DB, o launchOptions, runs []runRequest) error {
	if history != nil {
		if err := a.refuseStranger(ctx, wiring.Services(cfg, history).Check(ctx, runs[0].Sources()...)); err != nil {
			return err
		}
		// A run would go on without its history, as far as it can: whoever only looks should know before.
		if err := history.CheckHistoryWritable(ctx); err != nil {
			a.logger().WarnContext(ctx, "the run's history could not be written from here", "err", err)
		}
	}
	return a.plan(ctx, a.planner(history, nil), o.caps, a.readTime(ctx, cfg, history), runs, func(r runRequest, p backfill.Planned) error {
		return a.printPlanned(cfg, o, r, p)
	})
}

// printPlanned prints what a run would take: in words on stderr where its own JSON follows.
func (a *app) printPlanned(cfg config.Config, o launchOptions, r runRequest, p backfill.Planned) error {
	perSecond := register.CallsPerSecond(r.Source, cfg)
	e := estimate{
		Interval: r.Interval, Chunks: p.Chunks, Tokens: p.Tokens, Candles: p.Candles, CoveredCandles: p.Covered, LeftOut: leftOuts(p.LeftOut),
		APICalls: p.Cost.Calls, Credits: p.Cost.Credits, SavedAPICalls: p.Saved.Calls, SavedCredits: p.Saved.Credits,
		CallsPerSecond: perSecond, DurationSeconds: float64(p.Cost.Calls) / perSecond,
	}
	switch {
	case o.format != "json":
		a.printEstimate(a.stdout, e)
	case o.dryRun:
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

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/devstack"
	"quantbot/internal/manifest"
	"quantbot/internal/services"
	"quantbot/internal/wiring"
)

// launch opens the stores, starts the runs and, when asked to, waits for their ends. With --local it also runs a worker.
func (a *app) launch(ctx context.Context, o launchOptions, requests ...runRequest) (err error) {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	if source := cfg.Sources[requests[0].Source]; source.KeyMissing() && a.localDir != "" {
		return usageError("%s is not set; for the simulated market any value will do", source.Settings.Key)
	}
	stores, err := wiring.OpenStores(ctx, cfg, a.logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	if err := a.refuseStranger(ctx, wiring.Services(cfg, stores.History).Check(ctx, requests[0].Sources()...)); err != nil {
		return err
	}
	plans, err := a.planAll(ctx, stores, o.caps, requests)
	if err != nil {
		return err
	}
	runs := make([]backfill.Run, len(requests))
	for i, r := range requests {
		if runs[i], err = a.launchOne(ctx, cfg, stores, r, plans[i]); err != nil && i > 0 {
			return fmt.Errorf("%w (started before: %s)", err, runList(runs[:i]))
		} else if err != nil {
			return err
		}
	}
	if a.localDir != "" {
		defer devstack.StartWorker(ctx, cfg, a.logger(), a.now)()
	} else if !o.wait {
		return a.leave(stores, runs, o.format)
	}
	return a.waitForAll(ctx, stores, o, requests, runs, plans)
}

// leave prints what was started, for whoever does not wait.
func (a *app) leave(stores *wiring.Stores, runs []backfill.Run, format string) (err error) {
	chunks := 0
	for _, run := range runs {
		chunks += run.PlannedChunks
		err = errors.Join(err, a.printLaunched(run, format))
	}
	a.mentionNoWorker(stores, chunks)
	return err
}

func runList(runs []backfill.Run) string {
	var ids []string
	for _, run := range runs {
		ids = append(ids, run.ID().String())
	}
	return strings.Join(ids, ", ")
}

// planAll plans before anything is started, and refuses what is above the caps.
func (a *app) planAll(ctx context.Context, stores *wiring.Stores, caps backfill.Caps, requests []runRequest) (plans []backfill.Planned, err error) {
	clock := stores.Clock(a.now)
	now, err := clock.Ask(ctx)
	if err != nil {
		return nil, err
	}
	a.now = clock.Now // the run's start decides which run is the newer one
	err = a.plan(ctx, a.planner(stores.History, stores.Ledger), caps, now, requests, func(_ runRequest, p backfill.Planned) error {
		plans = append(plans, p)
		return nil
	})
	return plans, err
}

// launchOne starts a run that was planned.
func (a *app) launchOne(ctx context.Context, cfg config.Config, stores *wiring.Stores, r runRequest, planned backfill.Planned) (run backfill.Run, err error) {
	plan, err := planned.Build(ctx)
	if err != nil {
		return run, planError(err)
	}
	if run, err = a.newRun(r, plan); err != nil {
		return run, err
	}
	run.Manifest.DeploymentID = stores.Deployment.ID()
	_, err = wiring.Services(cfg, stores.History).Use(ctx, run.Manifest.StartedBy, r.Sources()...)
	if err := a.refuseStranger(ctx, err); err != nil {
		return run, err
	}
	run.Manifest.Services = services.Of(cfg, r.Sources()...)
	ctx = manifest.WithRun(ctx, run.ID())
	a.announceTwin(ctx, stores.History, run)
	if err := stores.History.RecordDependencies(ctx, run.ID(), planned.Dependencies); err != nil {
		a.logger().WarnContext(ctx, "dependencies of the run not recorded", "run_id", run.ID(), "err", err)
	}
	err = a.traced(ctx, cfg, run.ID(), func(ctx context.Context) error { return a.start(ctx, stores, run, plan, r.Force) })
	if err != nil {
		return run, err
	}
	a.announce(run, planned)
	return run, nil
}

// waitForAll waits for each run and for the runs that something was left to. The first error is its own; an interrupt ends it.
func (a *app) waitForAll(ctx context.Context, stores *wiring.Stores, o launchOptions, requests []runRequest, runs []backfill.Run, plans []backfill.Planned) (err error) {
	records := make([]backfill.RunRecord, len(runs))
	for i, run := range runs {
		var waited error
		records[i], waited = a.wait(ctx, stores, run, o.format)
		if waited == nil {
			waited = a.waitForOthers(ctx, stores, requests[i].Request, run, plans[i].LeftOut)
		}
		if err = cmp.Or(err, waited); ctx.Err() != nil {
			return err
		}
	}
	if len(runs) > 1 && o.format != "json" {
		a.printSummary(records)
	}
	return err
}

// printSummary shows several runs beside one another.
func (a *app) printSummary(records []backfill.RunRecord) {
	t := a.newTable("interval", "run id", "status", "chunks", "failed", "fetched", "inserted", "api calls", "credits")
	for _, r := range records {
		t.AppendRow(table.Row{
			r.Manifest.Interval, r.ID(), r.Status, r.PlannedChunks, r.FailedChunks, r.Stats.Fetched, r.Stats.Inserted, r.Stats.APICalls, r.Stats.Credits,
		})
	}
	t.Render()
}

// refuseStranger returns the error that says that a source was asked at another service. Any other trouble with what the
// database keeps of services is no reason to stop (R7).
func (a *app) refuseStranger(ctx context.Context, err error) error {
	if _, stranger := errors.AsType[*backfill.StrangerError](err); stranger {
		return err
	}
	if err != nil {
		a.logger().WarnContext(ctx, "not compared at which services the sources are asked", "err", err)
	}
	return nil
}

// announceTwin names the latest run of the same input, which is worth knowing and no reason to refuse.
func (a *app) announceTwin(ctx context.Context, history *clickhouse.DB, run backfill.Run) {
	twins, err := report.New(history).Runs(ctx, report.RunFilter{InputHash: run.Manifest.InputHash, Limit: 1})
	switch {
	case err != nil:
		a.logger().WarnContext(ctx, "not looked up whether the same input ran before", "run_id", run.ID(), "err", err)
	case len(twins) > 0:
		fmt.Fprintf(a.stderr, "the same input ran before: run %s of %s, %s\n", twins[0].RunID, formatTime(twins[0].StartedAt), twins[0].Status)
	}
}

func (a *app) announce(run backfill.Run, plan backfill.Planned) {
	if plan.Covered > 0 {
		fmt.Fprintf(a.stderr, "covered by earlier runs and not fetched again: %s of %s (--no-resume fetches them)\n", counted(plan.Covered, "candle"), run.Manifest.Interval)
	}
	for _, left := range leftOuts(plan.LeftOut) {
		fmt.Fprintf(a.stderr, "%s: left out (--force fetches them, too)\n", left)
	}
	if plan.Chunks == 0 {
		why := ""
		if run.Manifest.Range.From >= a.now().Unix() {
			why = ": the range has not begun"
		}
		fmt.Fprintf(a.stderr, "run %s: nothing to fetch%s\n", run.ID(), why)
		return
	}
	fmt.Fprintf(a.stderr, "run %s: %s of %s, up to %s of %s, at most %s\n", run.ID(), counted(plan.Chunks, "chunk"),
		counted(plan.Tokens, "token"), counted(plan.Candles, "candle"), run.Manifest.Interval, counted(plan.Cost.Calls, "API call"))
}

// inputIsFree frees the input of a run whose enqueuer died while planning. Trouble with that leaves the refusal as it is.
func (a *app) inputIsFree(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) bool {
	free, err := stores.Reconciler("enqueuer", a.logger(), a.now).FreeInput(ctx, runID, func(text string) { fmt.Fprintln(a.stderr, text) })
	if err != nil && ctx.Err() == nil {
		a.logger().WarnContext(ctx, "could not look whether the enqueuer of the run with the same input lives", "run_id", runID, "err", err)
	}
	return free
}

func (a *app) start(ctx context.Context, stores *wiring.Stores, run backfill.Run, plan backfill.Plan, force bool) error {
	launcher := stores.Launcher(a.logger(), a.now)
	err := launcher.Launch(ctx, run, plan.Chunks, force)
	if twin, ok := errors.AsType[*backfill.RefusedError](err); ok && a.inputIsFree(ctx, stores, twin.RunID) {
		err = launcher.Launch(ctx, run, plan.Chunks, force)
	}
	if backfill.RefusalOf(err) != "" {
		return exitOfRefused(err)
	}
	if errors.Is(err, backfill.ErrStale) {
		// This process stood still for so long that others went on with the run, or somebody cancelled it.
		fmt.Fprintf(a.stderr, "run %s was taken over by another process, which goes on with it\n", run.ID())
		return nil
	}
	if err != nil && ctx.Err() != nil {
		return &exitError{exitInterrupted, fmt.Errorf("interrupted while starting run %s; if its plan is stored, a worker goes on with it: see %s ohlcv runs-details %s", run.ID(), programName(), run.ID())}
	}
	return err
}

// mentionNoWorker says that nobody takes the chunks up. It is only a note: a queue that cannot be asked is none.
func (a *app) mentionNoWorker(stores *wiring.Stores, chunks int) {
	if workers, err := stores.Queue.Workers(); err == nil && workers == 0 && chunks > 0 {
		fmt.Fprintln(a.stderr, backfill.Wait{Reason: backfill.WaitNoWorker})
	}
}

func (a *app) printLaunched(run backfill.Run, format string) error {
	if format == "json" {
		return a.printRunning(run)
	}
	if run.PlannedChunks == 0 {
		fmt.Fprintf(a.stdout, "Run %s has nothing to do; a worker ends it.\n", run.ID())
		return nil
	}
	fmt.Fprintf(a.stdout, "Started run %s: waiting for workers: %s.\n", run.ID(), counted(run.PlannedChunks, "chunk"))
	fmt.Fprintf(a.stdout, "Watch it:  %s ohlcv runs-watch %s\n", programName(), run.ID())
	return nil
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// launch opens the stores, starts the run and, when asked to, waits for its end. With --local it also runs a worker.
func (a *app) launch(ctx context.Context, cmd *cobra.Command, in ingestion, plan backfill.Plan) (err error) {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	if cfg.Birdeye.APIKey == "" && a.localDir != "" {
		return usageError("BIRDEYE_API_KEY is not set; for the simulated market any value will do")
	}
	stores, err := wiring.OpenStores(ctx, cfg, a.logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	run, err := a.newRun(cmd, in, plan)
	if err != nil {
		return err
	}
	ctx = manifest.NewContext(ctx, run.Manifest)
	if err := a.start(ctx, stores, run, plan, in.options.force); err != nil {
		return err
	}
	fmt.Fprintf(a.stderr, "run %s: %d chunks of %d tokens, up to %d candles of %s\n",
		run.ID(), len(plan.Chunks), plan.Tokens, plan.Candles, in.request.Interval)
	if a.localDir != "" {
		defer a.localWorker(ctx, cfg)()
	} else if !in.options.wait {
		return a.printLaunched(run, plan, in.options.format)
	}
	return a.wait(ctx, stores, run, in.options.format)
}

// newRun makes the manifest.
func (a *app) newRun(cmd *cobra.Command, in ingestion, plan backfill.Plan) (backfill.Run, error) {
	hash, err := manifest.InputHash(in.request)
	if err != nil {
		return backfill.Run{}, err
	}
	m, err := manifest.New(manifest.Manifest{
		CLIArgs: effectiveFlags(cmd, in), EnvInfo: manifest.Environment(a.getenv), InputHash: hash,
		Source: in.request.Source, Interval: in.request.Interval, Range: plan.Range,
		Validation: in.request.Validation, DedupMode: in.request.DedupMode, SourceTier: in.request.SourceTier,
		HaltRejectionRate: in.options.haltRate,
	}, manifest.CurrentBuild(), a.now())
	if err != nil {
		return backfill.Run{}, err
	}
	return backfill.Run{Manifest: m, Attempt: 1, PlannedChunks: len(plan.Chunks)}, nil
}

func (a *app) start(ctx context.Context, stores *wiring.Stores, run backfill.Run, plan backfill.Plan, force bool) error {
	launcher := stores.Launcher(a.logger(), a.now)
	err := launcher.Launch(ctx, run, plan.Chunks, force)
	if duplicate, ok := errors.AsType[*backfill.DuplicateInputError](err); ok {
		return &exitError{exitRefused, duplicate}
	}
	if errors.Is(err, backfill.ErrStale) {
		// This process stood still for so long that others went on with the run, or somebody cancelled it.
		fmt.Fprintf(a.stderr, "run %s was taken over by another process, which goes on with it\n", run.ID())
		return nil
	}
	if err != nil && ctx.Err() != nil {
		return &exitError{exitInterrupted, fmt.Errorf("interrupted while starting run %s; if its plan is stored, a worker goes on with it: see ohlcv runs-details %s", run.ID(), run.ID())}
	}
	return err
}

// localWorker runs a worker beside the command; the returned function stops it.
func (a *app) localWorker(ctx context.Context, cfg config.Config) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var working sync.WaitGroup
	working.Go(func() {
		err := wiring.RunWorker(ctx, wiring.WorkerConfig{
			Config: cfg, Build: manifest.CurrentBuild(), Concurrency: wiring.DefaultConcurrency,
			ShutdownTimeout: 5 * time.Second, Logger: a.logger(), Now: a.now,
		})
		if err != nil {
			a.logger().ErrorContext(ctx, "local worker failed", "err", err)
		}
	})
	return func() { cancel(); working.Wait() }
}

func (a *app) printLaunched(run backfill.Run, plan backfill.Plan, format string) error {
	if format == "json" {
		return a.printJSON(rowOf(backfill.RunRecord{Run: run, Status: backfill.StatusRunning}))
	}
	fmt.Fprintf(a.stdout, "Started run %s: %d chunks are waiting for workers.\n", run.ID(), len(plan.Chunks))
	fmt.Fprintf(a.stdout, "Watch it:  %s ohlcv runs-watch %s\n", programName(), run.ID())
	return nil
}

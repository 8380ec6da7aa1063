package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

func (a *app) runsRetryCommand() *cobra.Command {
	var force bool
	return a.goOnCommand(&cobra.Command{
		Use:   "runs-retry RUN-ID",
		Short: "Take up the failed and cancelled chunks of a run again",
		Long: `Take up the failed and cancelled chunks of a run that has ended, as its next attempt: same run, same manifest. What
succeeded is not fetched again, and the run's numbers are exact afterwards. Chunks that succeeded after their run had
ended (a worker that came back late) are counted without being fetched again.`,
		Example: "  quantbot ohlcv runs-retry 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f --wait",
	}, func(cmd *cobra.Command) {
		cmd.Flags().BoolVar(&force, "force", false, "retry even if another run with the same input is running")
	}, func(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) (backfill.Run, error) {
		run, err := a.operator(stores, "runs-retry").Retry(ctx, runID, force)
		if refused, ok := errors.AsType[*backfill.RetryRefusedError](err); ok {
			return run, &exitError{exitRefused, refused}
		}
		if duplicate, ok := errors.AsType[*backfill.DuplicateInputError](err); ok {
			return run, &exitError{exitRefused, duplicate}
		}
		return run, err
	})
}

func (a *app) runsResumeCommand() *cobra.Command {
	return a.goOnCommand(&cobra.Command{
		Use:   "runs-resume RUN-ID",
		Short: "Go on at once with a run that was lost or stands still",
		Long: `Go on at once with a run whose state in Redis is gone, from what ClickHouse has of it: what succeeded stands, the rest is
enqueued again. Workers do the same by themselves within seconds; this is for doing it by hand. A run that Redis still has
is looked through, and what its dead processes left undone is repaired.`,
		Example: "  quantbot ohlcv runs-resume 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f --wait",
	}, nil, func(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) (backfill.Run, error) {
		record, err := stores.History.Run(ctx, runID)
		if err != nil {
			return backfill.Run{}, fmt.Errorf("look up run %s: %w", runID, err)
		}
		if record.Status != backfill.StatusRunning {
			return backfill.Run{}, &exitError{exitRefused, fmt.Errorf("run %s is %s, not running: take up its failed chunks with runs-retry", runID, record.Status)}
		}
		return record.Run, stores.Reconciler("runs-resume", a.logger(), a.now).Resume(ctx, record.Run)
	})
}

// goOnCommand completes a command that sets a run going: start does it, then the run is watched when that was asked for.
// With --local a worker runs beside it.
func (a *app) goOnCommand(cmd *cobra.Command, flags func(*cobra.Command), start func(context.Context, *wiring.Stores, uuid.UUID) (backfill.Run, error)) *cobra.Command {
	var format string
	var wait bool
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkFormat(format); err != nil {
			return err
		}
		return a.withStores(cmd.Context(), func(cfg config.Config, stores *wiring.Stores) error {
			ctx := cmd.Context()
			runID, err := resolveRun(ctx, stores.History, args[0])
			if err != nil {
				return err
			}
			var run backfill.Run
			err = a.traced(ctx, cfg, runID, func(ctx context.Context) (err error) {
				run, err = start(ctx, stores, runID)
				return err
			})
			if err != nil {
				return err
			}
			ctx = manifest.NewContext(ctx, run.Manifest)
			fmt.Fprintf(a.stderr, "run %s, attempt %d: %d of %s\n", run.ID(), run.Attempt, run.AttemptChunks(), counted(run.PlannedChunks, "chunk"))
			if a.localDir != "" {
				defer a.localWorker(ctx, cfg)()
			} else if !wait {
				a.mentionNoWorker(stores, run.AttemptChunks())
				return a.printGoingOn(run, format)
			}
			_, err = a.wait(ctx, stores, run, format)
			return err
		})
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait for the end and show progress (always with --local)")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	if flags != nil {
		flags(cmd)
	}
	return cmd
}

func (a *app) printGoingOn(run backfill.Run, format string) error {
	if format == "json" {
		return a.printJSON(rowOf(backfill.RunRecord{Run: run, Status: backfill.StatusRunning}))
	}
	fmt.Fprintf(a.stdout, "Run %s goes on as attempt %d.\n", run.ID(), run.Attempt)
	fmt.Fprintf(a.stdout, "Watch it:  %s ohlcv runs-watch %s\n", programName(), run.ID())
	return nil
}

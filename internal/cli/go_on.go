package cli

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

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

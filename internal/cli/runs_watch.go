package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/devstack"
	"quantbot/internal/wiring"
)

// runsWatchOptions are the flags of runs-watch.
type runsWatchOptions struct {
	formatFlag
	run string
}

func newRunsWatchCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsWatchOptions), a.runRunsWatch, &cobra.Command{
		Use:   "runs-watch RUN-ID",
		Short: "Show the progress of a run until it ends",
		Long: `Show the progress of a run until it ends. The exit code is 0 when it completed and 4 when it did not. With --local a worker
runs beside it, so a run that was interrupted there goes on.`,
		Example:     "  quantbot ohlcv runs-watch 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f",
		Args:        cobra.ExactArgs(1),
		Annotations: forRuns(backfill.StatusRunning),
	})
}

func (o *runsWatchOptions) register(flags *pflag.FlagSet) { o.registerFormat(flags, "") }

func (o *runsWatchOptions) check(_ *app, _ *cobra.Command, args []string) error {
	o.run = args[0]
	return o.checkFormat()
}

func (a *app) runRunsWatch(ctx context.Context, o *runsWatchOptions) error {
	return a.withUndatedStores(ctx, func(cfg config.Config, stores *wiring.Stores) error {
		runID, err := resolveRun(ctx, stores.History, o.run)
		if err != nil {
			return err
		}
		if a.localDir != "" {
			defer devstack.StartWorker(ctx, cfg, a.logger(), a.now)()
		}
		var run backfill.Run
		run.Manifest.RunID = runID
		_, err = a.wait(ctx, stores, run, o.format)
		return err
	})
}

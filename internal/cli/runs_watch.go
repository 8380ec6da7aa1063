package cli

import (
	"errors"

	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/wiring"
)

func (a *app) runsWatchCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "runs-watch RUN-ID",
		Short: "Show the progress of a run until it ends",
		Long: `Show the progress of a run until it ends. The exit code is 0 when it completed and 4 when it did not. With --local a worker
runs beside it, so a run that was interrupted there goes on.`,
		Example: "  quantbot ohlcv runs-watch 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			ctx := cmd.Context()
			a.begin()
			cfg, release, err := a.configure(ctx)
			if err != nil {
				return err
			}
			defer release()
			stores, err := wiring.OpenStores(ctx, cfg, a.logger())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stores.Close()) }()
			runID, err := resolveRun(ctx, stores.History, args[0])
			if err != nil {
				return err
			}
			if a.localDir != "" {
				defer a.localWorker(ctx, cfg)()
			}
			var run backfill.Run
			run.Manifest.RunID = runID
			_, err = a.wait(ctx, stores, run, format)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

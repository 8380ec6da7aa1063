package cli

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/devstack"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// goOnOptions are the flags of the commands that set a run going again.
type goOnOptions struct {
	formatFlag
	run  string
	wait bool
}

func (o *goOnOptions) register(flags *pflag.FlagSet) {
	flags.BoolVar(&o.wait, "wait", false, "wait for the end and show progress (always with --local)")
	o.registerFormat(flags, "")
}

func (o *goOnOptions) check(_ *app, _ *cobra.Command, args []string) error {
	o.run = args[0]
	return o.checkFormat()
}

// goOn sets a run going: start does it, then the run is watched when that was asked for. With --local a worker runs beside it.
func (a *app) goOn(ctx context.Context, o goOnOptions, start func(context.Context, *wiring.Stores, uuid.UUID) (backfill.Run, error)) error {
	return a.withRun(ctx, o.run, func(cfg config.Config, stores *wiring.Stores, runID uuid.UUID) error {
		var run backfill.Run
		err := a.traced(ctx, cfg, runID, func(ctx context.Context) (err error) {
			run, err = start(ctx, stores, runID)
			return err
		})
		if err != nil {
			return err
		}
		ctx := manifest.WithRun(ctx, run.ID())
		fmt.Fprintf(a.stderr, "run %s, attempt %d: %d of %s\n", run.ID(), run.Attempt, run.AttemptChunks(), counted(run.PlannedChunks, "chunk"))
		if a.localDir != "" {
			defer devstack.StartWorker(ctx, cfg, a.logger(), a.now)()
		} else if !o.wait {
			a.mentionNoWorker(stores, run.AttemptChunks())
			return a.printGoingOn(run, o.format)
		}
		_, err = a.wait(ctx, stores, run, o.format)
		return err
	})
}

func (a *app) printGoingOn(run backfill.Run, format string) error {
	if format == "json" {
		return a.printRunning(run)
	}
	fmt.Fprintf(a.stdout, "Run %s goes on as attempt %d.\n", run.ID(), run.Attempt)
	fmt.Fprintf(a.stdout, "Watch it:  %s ohlcv runs-watch %s\n", programName(), run.ID())
	return nil
}

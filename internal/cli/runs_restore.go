package cli

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/operate"
	"quantbot/internal/wiring"
)

// runsRestoreOptions are the flags of runs-restore.
type runsRestoreOptions struct {
	formatFlag
	run, reason string
}

func newRunsRestoreCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsRestoreOptions), a.runRunsRestore, &cobra.Command{
		Use:         "runs-restore RUN-ID",
		Short:       "Take a rollback back: the run's candles are served again",
		Long:        "Take a rollback back: the run's candles are served again, at once. It is refused once a sweep has begun to purge the run.",
		Example:     "  quantbot ohlcv runs-restore 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f",
		Args:        cobra.ExactArgs(1),
		Annotations: forRuns(operate.Allowing(operate.Restore)...),
	})
}

func (o *runsRestoreOptions) register(flags *pflag.FlagSet) {
	o.registerFormat(flags, " (the run as it is then)")
	flags.StringVar(&o.reason, "reason", "", "why, for the record")
}

func (o *runsRestoreOptions) check(_ *app, _ *cobra.Command, args []string) error {
	o.run = args[0]
	return o.checkFormat()
}

func (a *app) runRunsRestore(ctx context.Context, o *runsRestoreOptions) error {
	return a.withRun(ctx, o.run, func(_ config.Config, stores *wiring.Stores, runID uuid.UUID) error {
		err := a.operator(stores, "runs-restore").Restore(ctx, runID, backfill.UndoRequest{By: operatorName(), Reason: o.reason})
		if err := exitOfRefused(err); err != nil {
			return err
		}
		if o.format == "json" {
			return a.printStoredRun(ctx, stores, runID)
		}
		fmt.Fprintf(a.stderr, "Run %s is served again.\n", runID)
		return nil
	})
}

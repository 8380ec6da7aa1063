package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/operate"
	"quantbot/internal/wiring"
)

// runsCancelOptions are the flags of runs-cancel.
type runsCancelOptions struct {
	formatFlag
	run string
}

func newRunsCancelCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsCancelOptions), a.runRunsCancel, &cobra.Command{
		Use:   "runs-cancel RUN-ID",
		Short: "End a running run: chunks that have not ended become cancelled",
		Long: `End a running run. Chunks that have not ended become cancelled, what workers are fetching is not stored, and the run
ends as cancelled; what was stored stays. No worker needs to be there. The same input can be run again at once.`,
		Example:     "  quantbot ohlcv runs-cancel 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f",
		Args:        cobra.ExactArgs(1),
		Annotations: forRuns(operate.Allowing(operate.Cancel)...),
	})
}

func (o *runsCancelOptions) register(flags *pflag.FlagSet) { o.registerFormat(flags, "") }

func (o *runsCancelOptions) check(_ *app, _ *cobra.Command, args []string) error {
	o.run = args[0]
	return o.checkFormat()
}

func (a *app) runRunsCancel(ctx context.Context, o *runsCancelOptions) error {
	return a.withRun(ctx, o.run, func(_ config.Config, stores *wiring.Stores, runID uuid.UUID) error {
		return a.cancel(ctx, stores, runID, o.format)
	})
}

func (a *app) cancel(ctx context.Context, stores *wiring.Stores, runID uuid.UUID, format string) error {
	if err := a.operator(stores, "runs-cancel").Cancel(ctx, runID); err != nil {
		return exitOfRefused(err)
	}
	// Redis may skip chunks that moved while they were being ended: workers end those within seconds.
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	record, err := a.watch(manifest.WithRun(ctx, runID), stores, runID)
	if err != nil {
		return fmt.Errorf("run %s is marked as cancelled, but has not ended yet: %w", runID, err)
	}
	return a.printEnd(ctx, stores, record, format)
}

package cli

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/operate"
	"quantbot/internal/wiring"
)

// runsRetryOptions are the flags of runs-retry.
type runsRetryOptions struct {
	goOnOptions
	force bool
}

func newRunsRetryCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsRetryOptions), a.runRunsRetry, &cobra.Command{
		Use:   "runs-retry RUN-ID",
		Short: "Take up the failed and cancelled chunks of a run again",
		Long: `Take up the failed and cancelled chunks of a run that has ended, as its next attempt: same run, same manifest. What
succeeded is not fetched again, and the run's numbers are exact afterwards. Chunks that succeeded after their run had
ended (a worker that came back late) are counted without being fetched again.`,
		Example:     "  quantbot ohlcv runs-retry 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f --wait",
		Args:        cobra.ExactArgs(1),
		Annotations: forRuns(operate.Allowing(operate.Retry)...),
	})
}

func (o *runsRetryOptions) register(flags *pflag.FlagSet) {
	o.goOnOptions.register(flags)
	flags.BoolVar(&o.force, "force", false, "retry even if another run with the same input is running")
}

func (a *app) runRunsRetry(ctx context.Context, o *runsRetryOptions) error {
	return a.goOn(ctx, o.goOnOptions, func(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) (backfill.Run, error) {
		run, err := a.operator(stores, "runs-retry").Retry(ctx, runID, o.force)
		return run, exitOfRefused(err)
	})
}

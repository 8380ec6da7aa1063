package cli

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
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

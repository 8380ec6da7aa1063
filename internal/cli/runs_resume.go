package cli

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/wiring"
)

func newRunsResumeCommand(a *app) *cobra.Command {
	return newCommand(a, new(goOnOptions), a.runRunsResume, &cobra.Command{
		Use:   "runs-resume RUN-ID",
		Short: "Go on at once with a run that was lost or stands still",
		Long: `Go on at once with a run whose state in Redis is gone, from what ClickHouse has of it: what succeeded stands, the rest is
enqueued again. Workers do the same by themselves within seconds; this is for doing it by hand. A run that Redis still has
is looked through, and what its dead processes left undone is repaired.`,
		Example: "  quantbot ohlcv runs-resume 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f --wait",
		Args:    cobra.ExactArgs(1),
	})
}

func (a *app) runRunsResume(ctx context.Context, o *goOnOptions) error {
	return a.goOn(ctx, *o, func(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) (backfill.Run, error) {
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

package cli

import (
	"context"

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
		Example:     "  quantbot ohlcv runs-resume 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f --wait",
		Args:        cobra.ExactArgs(1),
		Annotations: forRuns(backfill.StatusRunning),
	})
}

func (a *app) runRunsResume(ctx context.Context, o *goOnOptions) error {
	return a.goOn(ctx, *o, func(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) (backfill.Run, error) {
		run, err := a.operator(stores, "runs-resume").Resume(ctx, runID)
		return run, exitOfRefused(err)
	})
}

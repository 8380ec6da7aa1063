package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/operate"
	"quantbot/internal/wiring"
)

// runsRollbackOptions are the flags of runs-rollback.
type runsRollbackOptions struct {
	formatFlag
	run, reason        string
	dryRun, yes, force bool
}

func newRunsRollbackCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsRollbackOptions), a.runRunsRollback, &cobra.Command{
		Use:   "runs-rollback RUN-ID",
		Short: "Hide a run's candles: readers see at once what was there before",
		Long: `Hide a run's candles from readers, at once and atomically: for each candle the best version of the other runs is served
again. Nothing is deleted, so runs-restore takes it back until a sweep purges the run, one rollback window
(QUANTBOT_ROLLBACK_WINDOW, 7 days) after the rollback.

It first says what it would do, then asks. It refuses while the run is running, and where sweeps have removed versions
that the undo would need.`,
		Example:     "  quantbot ohlcv runs-rollback 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f --dry-run\n  quantbot ohlcv runs-rollback 0192f0c1 --yes --reason 'source was wrong'",
		Args:        cobra.ExactArgs(1),
		Annotations: forRuns(operate.Allowing(operate.Rollback)...),
	})
}

func (o *runsRollbackOptions) register(flags *pflag.FlagSet) {
	flags.BoolVar(&o.dryRun, "dry-run", false, "only say what would happen")
	flags.BoolVar(&o.yes, "yes", false, "do not ask")
	flags.BoolVar(&o.force, "force", false, "roll back even where sweeps have removed what the undo would need")
	flags.StringVar(&o.reason, "reason", "", "why, for the record")
	o.registerFormat(flags, " (with --dry-run what would happen, else the run as it is then)")
}

func (o *runsRollbackOptions) check(_ *app, _ *cobra.Command, args []string) error {
	o.run = args[0]
	return o.checkFormat()
}

func (a *app) runRunsRollback(ctx context.Context, o *runsRollbackOptions) error {
	return a.withRun(ctx, o.run, func(_ config.Config, stores *wiring.Stores, runID uuid.UUID) error {
		preview, err := a.previewRollback(ctx, stores, runID, o.dryRun, o.format)
		if err != nil {
			return err
		}
		if len(preview.Removed) > 0 && !o.force {
			return &exitError{exitRefused, &backfill.RefusedError{Reason: backfill.RefusedUndo, RunID: runID, Removed: preview.Removed}}
		}
		if o.dryRun {
			return nil
		}
		if err := a.confirm(ctx, o.yes, fmt.Sprintf("Roll back run %s?", runID)); err != nil {
			return err
		}
		return a.rollBack(ctx, stores, runID, backfill.UndoRequest{By: operatorName(), Reason: o.reason}, o.force, o.format)
	})
}

func (a *app) previewRollback(ctx context.Context, stores *wiring.Stores, runID uuid.UUID, dryRun bool, format string) (backfill.RollbackPreview, error) {
	preview, err := a.operator(stores, "runs-rollback").PreviewRollback(ctx, runID)
	if err != nil {
		return preview, exitOfRefused(err)
	}
	out := a.stdout
	if format == "json" && dryRun {
		return preview, a.printJSON(preview)
	} else if format == "json" {
		out = a.stderr // the run's document follows
	}
	would := "rolling back"
	if dryRun {
		would = "would roll back"
	}
	fmt.Fprintf(out, "%s run %s (%s):\n", strings.ToUpper(would[:1])+would[1:], runID, preview.Status)
	fmt.Fprintf(out, "  %s out of the readers' sight\n", counted(preview.Versions, "version"))
	fmt.Fprintf(out, "  %s that no other run has: gone\n", counted(preview.Disappearing, "candle"))
	for _, f := range preview.FallBacks {
		fmt.Fprintf(out, "  %s falling back to run %s\n", counted(f.Candles, "candle"), f.RunID)
	}
	for _, m := range preview.Removed {
		fmt.Fprintf(out, "  %s of %d-%02d that the undo would need, removed by a sweep\n", counted(m.Versions, "version"), m.Month/100, m.Month%100)
	}
	for _, r := range preview.Dependents {
		fmt.Fprintf(out, "  %s not fetched by run %s because this run had answered for them, or was about to\n", counted(r.Candles, "candle"), r.RunID)
	}
	if len(preview.Dependents) > 0 {
		fmt.Fprintf(out, "  after the rollback, fetch what is missing then with: %s ohlcv gaps --run %s --fetch, or run the same input again\n", programName(), runID)
	}
	return preview, nil
}

func (a *app) rollBack(ctx context.Context, stores *wiring.Stores, runID uuid.UUID, request backfill.UndoRequest, force bool, format string) error {
	err := a.operator(stores, "runs-rollback").RollBack(ctx, runID, request, force)
	if err := exitOfRefused(err); err != nil {
		return err
	}
	if format == "json" {
		return a.printStoredRun(ctx, stores, runID)
	}
	fmt.Fprintf(a.stderr, "Run %s is rolled back. Take it back with: %s ohlcv runs-restore %s\n", runID, programName(), runID)
	return nil
}

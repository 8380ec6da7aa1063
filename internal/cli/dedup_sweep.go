package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
)

// dedupSweepOptions are the flags of dedup-sweep.
type dedupSweepOptions struct {
	formatFlag
	intervals   []string
	olderThan   string
	dryRun, yes bool

	sweep     backfill.SweepRequest // what the flags mean
	hasWindow bool                  // sweep.Window was given, else it is that of the configuration
}

func newDedupSweepCommand(a *app) *cobra.Command {
	return newCommand(a, new(dedupSweepOptions), a.runDedupSweep, &cobra.Command{
		Use:   "dedup-sweep",
		Short: "Remove versions that bring nothing over what settled runs serve",
		Long: `Remove redundant versions: those that are no better than what a settled run serves. A run is settled when it ended longer
than the rollback window ago (QUANTBOT_ROLLBACK_WINDOW, 7 days; --older-than for this sweep) and is not rolled back. What
readers see does not change. Runs that were rolled back longer than that ago are purged: they cannot be restored any more.

Workers do the same by schedule (--sweep-cron). It works slice by slice in bounded memory, beside running inserts, and may
be broken off and started again at any time.`,
		Example: "  quantbot ohlcv dedup-sweep --dry-run\n  quantbot ohlcv dedup-sweep --interval 1m --interval 5m --older-than 14d --yes",
		Args:    cobra.NoArgs,
	})
}

func (o *dedupSweepOptions) register(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.intervals, "interval", nil, "only candles of this `interval`; may be repeated")
	flags.StringVar(&o.olderThan, "older-than", "", "`duration` after which a run is settled, for this sweep (default: the rollback window)")
	flags.BoolVar(&o.dryRun, "dry-run", false, "only count")
	flags.BoolVar(&o.yes, "yes", false, "do not ask")
	o.registerFormat(flags, "")
}

func (o *dedupSweepOptions) check(*app, *cobra.Command, []string) (err error) {
	o.sweep = backfill.SweepRequest{By: operatorName(), DryRun: o.dryRun}
	for _, text := range o.intervals {
		interval, err := candle.ParseInterval(text)
		if err != nil {
			return fmt.Errorf("--interval: %w", err)
		}
		o.sweep.Intervals = append(o.sweep.Intervals, interval)
	}
	if o.hasWindow = o.olderThan != ""; o.hasWindow {
		if o.sweep.Window, err = parseLength("older-than", o.olderThan); err != nil {
			return err
		}
	}
	return o.checkFormat()
}

func (a *app) runDedupSweep(ctx context.Context, o *dedupSweepOptions) error {
	return a.withStores(ctx, func(cfg config.Config, stores *wiring.Stores) error {
		if !o.hasWindow {
			o.sweep.Window = cfg.RollbackWindow
		}
		return a.sweep(ctx, stores, o)
	})
}

// sweep counts what the sweep would remove, asks, and removes it.
func (a *app) sweep(ctx context.Context, stores *wiring.Stores, o *dedupSweepOptions) error {
	sweep := o.sweep
	if !sweep.DryRun {
		found, err := a.operator(stores, "dedup-sweep").PreviewSweep(ctx, sweep)
		if err != nil {
			return err
		}
		if redundant, purged := sum(found); redundant+purged > 0 {
			question := fmt.Sprintf("Remove %d redundant versions and %d of purged runs, for good?", redundant, purged)
			if err := a.confirm(ctx, o.yes, question); err != nil {
				return err
			}
		}
	}
	last := a.now()
	sweep.OnSlice = func(p backfill.SweepProgress) {
		if a.now().Sub(last) >= lineEvery {
			last = a.now()
			fmt.Fprintf(a.stderr, "%d of %s, %s removed\n", p.Done, counted(p.Slices, "slice"), counted(p.Removed, "version"))
		}
	}
	swept, err := a.operator(stores, "dedup-sweep").Sweep(ctx, sweep)
	if err != nil {
		return err
	}
	return a.printSwept(swept, sweep.DryRun, o.format)
}

func sum(swept []backfill.SweptMonth) (redundant, purged int64) {
	for _, m := range swept {
		redundant += m.Redundant
		purged += m.Purged
	}
	return redundant, purged
}

func (a *app) printSwept(swept []backfill.SweptMonth, dryRun bool, format string) error {
	if format == "json" {
		return a.printJSON(swept)
	}
	did := "removed"
	if dryRun {
		did = "to remove"
	}
	for _, m := range swept {
		if m.Redundant+m.Purged > 0 {
			fmt.Fprintf(a.stdout, "%d-%02d %-4s %d redundant, %d of purged runs %s, of %d versions\n", m.Month/100, m.Month%100, m.Interval, m.Redundant, m.Purged, did, m.Versions)
		}
	}
	redundant, purged := sum(swept)
	fmt.Fprintf(a.stdout, "%d redundant versions and %d of purged runs %s.\n", redundant, purged, did)
	return nil
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
)

// validation is what validate-duplicates shows.
type validation struct {
	Faulty     []backfill.Fault        `json:"faulty_runs"`
	Duplicates []report.DuplicateMonth `json:"duplicates"`
}

// mostValidated bounds how many runs are looked at.
const mostValidated = 100_000

// validateDuplicatesOptions are the flags of validate-duplicates.
type validateDuplicatesOptions struct {
	formatFlag
	limits            backfill.FaultLimits
	since, stuckAfter string

	from time.Time // what --since means
}

func newValidateDuplicatesCommand(a *app) *cobra.Command {
	return newCommand(a, new(validateDuplicatesOptions), a.runValidateDuplicates, &cobra.Command{
		Use:   "validate-duplicates",
		Short: "List faulty runs with what to do, and the duplicates that wait for the sweep",
		Long: `List faulty runs: with many failed chunks, many candles without volume or rejected, failed, with numbers that do not add
up, or stuck; each with a recommendation: rollback (its candles are doubtful), revalidate (fetch or look again) or ignore
(it stored nothing). Then the versions beside the served candles, per interval and month, which wait for the sweep.

The exit code is 1 when a run is faulty, so that cron can alert somebody.`,
		Example: "  quantbot ohlcv validate-duplicates --since=-7d --min-error-rate .05",
		Args:    cobra.NoArgs,
	})
}

func (o *validateDuplicatesOptions) register(flags *pflag.FlagSet) {
	o.limits = backfill.DefaultFaultLimits()
	flags.StringVar(&o.since, "since", "-30d", "runs that started at or after this `time`")
	flags.Float64Var(&o.limits.ErrorRate, "min-error-rate", o.limits.ErrorRate, "share of failed chunks from which on a run is faulty")
	flags.Float64Var(&o.limits.ZeroVolumeRate, "min-zero-volume-rate", o.limits.ZeroVolumeRate, "share of candles without volume from which on a run is faulty")
	flags.Float64Var(&o.limits.RejectionRate, "min-rejection-rate", o.limits.RejectionRate, "share of rejected candles from which on a run is faulty")
	flags.StringVar(&o.stuckAfter, "stuck-after", "24h", "`duration` after which a running run counts as stuck")
	o.registerFormat(flags, "")
}

func (o *validateDuplicatesOptions) check(a *app, cmd *cobra.Command, _ []string) (err error) {
	if o.limits.StuckAfter, err = parseLength("stuck-after", o.stuckAfter); err != nil {
		return err
	}
	for name, rate := range map[string]float64{"min-error-rate": o.limits.ErrorRate, "min-zero-volume-rate": o.limits.ZeroVolumeRate, "min-rejection-rate": o.limits.RejectionRate} {
		if !(rate > 0 && rate <= 1) {
			return fmt.Errorf("--%s must be above 0 and up to 1, not %g", name, rate)
		}
	}
	if err := o.checkFormat(); err != nil {
		return err
	}
	o.from, err = a.parseSince(cmd.Context(), o.since)
	return err
}

func (a *app) runValidateDuplicates(ctx context.Context, o *validateDuplicatesOptions) error {
	return a.withHistory(ctx, func(_ config.Config, history *clickhouse.DB) error {
		v, err := validate(ctx, history, o.limits, o.from, a.now())
		if err != nil {
			return err
		}
		return a.printValidation(v, o.format)
	})
}

func validate(ctx context.Context, history *clickhouse.DB, limits backfill.FaultLimits, since, now time.Time) (validation, error) {
	v := validation{Faulty: []backfill.Fault{}, Duplicates: []report.DuplicateMonth{}}
	runs, err := report.New(history).RunSummaries(ctx, report.QualityFilter{Since: since}, mostValidated)
	if err != nil {
		return v, err
	}
	for _, run := range runs {
		if fault, faulty := limits.Examine(run, now); faulty {
			v.Faulty = append(v.Faulty, fault)
		}
	}
	duplicates, err := report.New(history).Duplicates(ctx)
	if len(duplicates) > 0 {
		v.Duplicates = duplicates
	}
	return v, err
}

var errFaultyRuns = errors.New("there are faulty runs: see above")

func (a *app) printValidation(v validation, format string) error {
	var faulty error
	if len(v.Faulty) > 0 {
		faulty = errFaultyRuns
	}
	if format == "json" {
		return errors.Join(a.printJSON(v), faulty)
	}
	if faulty == nil {
		fmt.Fprintln(a.stdout, "No faulty runs.")
	} else {
		t := a.newTable("run", "started (UTC)", "status", "problems", "recommendation", "look at")
		for _, f := range v.Faulty {
			t.AppendRow(table.Row{f.RunID, formatTime(f.StartedAt), f.Status, strings.Join(f.Problems, "; "), f.Recommendation, f.Command})
		}
		t.Render()
	}
	if len(v.Duplicates) == 0 {
		fmt.Fprintln(a.stdout, "No duplicates wait for the sweep.")
		return faulty
	}
	t := a.newTable("interval", "month", "candles", "versions beside them")
	for _, d := range v.Duplicates {
		t.AppendRow(table.Row{d.Interval, fmt.Sprintf("%d-%02d", d.Month/100, d.Month%100), d.Candles, d.Versions - d.Candles})
	}
	t.Render()
	return faulty
}

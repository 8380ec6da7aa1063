package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
)

// thresholds say what makes a run faulty.
type thresholds struct {
	errorRate, zeroVolumeRate, rejectionRate float64
	stuckAfter                               time.Duration
}

// faultyRun is a run that somebody should look at.
type faultyRun struct {
	RunID          uuid.UUID `json:"run_id"`
	Status         string    `json:"status"`
	StartedAt      time.Time `json:"started_at"`
	Problems       []string  `json:"problems"`
	Recommendation string    `json:"recommendation"` // rollback, revalidate or ignore
	Command        string    `json:"command"`
}

// validation is what validate-duplicates shows.
type validation struct {
	Faulty     []faultyRun                 `json:"faulty_runs"`
	Duplicates []clickhouse.DuplicateMonth `json:"duplicates"`
}

// mostValidated bounds how many runs are looked at.
const mostValidated = 100_000

func (a *app) validateDuplicatesCommand() *cobra.Command {
	var th thresholds
	var since, stuckAfter, format string
	cmd := &cobra.Command{
		Use:   "validate-duplicates",
		Short: "List faulty runs with what to do, and the duplicates that wait for the sweep",
		Long: `List faulty runs: with many failed chunks, many candles without volume or rejected, failed, with numbers that do not add
up, or stuck; each with a recommendation: rollback (its candles are doubtful), revalidate (fetch or look again) or ignore
(it stored nothing). Then the versions beside the served candles, per interval and month, which wait for the sweep.

The exit code is 1 when a run is faulty, so that cron can tell somebody.`,
		Example: "  quantbot ohlcv validate-duplicates --since=-7d --min-error-rate .05",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			from, err := config.ParseTime(since, a.now())
			if err != nil {
				return fmt.Errorf("--since: %w", err)
			}
			if th.stuckAfter, err = config.ParseDuration(stuckAfter); err != nil {
				return fmt.Errorf("--stuck-after: %w", err)
			}
			for name, rate := range map[string]float64{"min-error-rate": th.errorRate, "min-zero-volume-rate": th.zeroVolumeRate, "min-rejection-rate": th.rejectionRate} {
				if !(rate > 0 && rate <= 1) {
					return fmt.Errorf("--%s must be above 0 and up to 1, not %g", name, rate)
				}
			}
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(_ config.Config, history *clickhouse.DB) error {
				v, err := validate(cmd.Context(), history, th, from, a.now())
				if err != nil {
					return err
				}
				return a.printValidation(v, format)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&since, "since", "-30d", "runs that started at or after this `time`")
	f.Float64Var(&th.errorRate, "min-error-rate", 0.1, "share of failed chunks from which on a run is faulty")
	f.Float64Var(&th.zeroVolumeRate, "min-zero-volume-rate", 0.5, "share of candles without volume from which on a run is faulty")
	f.Float64Var(&th.rejectionRate, "min-rejection-rate", 0.1, "share of rejected candles from which on a run is faulty")
	f.StringVar(&stuckAfter, "stuck-after", "24h", "`duration` after which a running run counts as stuck")
	f.StringVar(&format, "format", "table", "table or json")
	return cmd
}

func validate(ctx context.Context, history *clickhouse.DB, th thresholds, since, now time.Time) (validation, error) {
	v := validation{Faulty: []faultyRun{}, Duplicates: []clickhouse.DuplicateMonth{}}
	runs, err := history.Runs(ctx, clickhouse.RunFilter{Since: since, Limit: mostValidated})
	if err != nil {
		return v, err
	}
	for _, run := range runs {
		if faulty, found := examineRun(run, th, now); found {
			v.Faulty = append(v.Faulty, faulty)
		}
	}
	duplicates, err := history.Duplicates(ctx)
	if len(duplicates) > 0 {
		v.Duplicates = duplicates
	}
	return v, err
}

// examineRun judges a run. What is rolled back has been dealt with.
func examineRun(r clickhouse.RunRow, th thresholds, now time.Time) (faultyRun, bool) {
	f := faultyRun{RunID: r.RunID, Status: r.Status, StartedAt: r.StartedAt}
	if r.Status == string(backfill.StatusRolledBack) {
		return f, false
	}
	doubtful, again := doubts(r, th), troubles(r, th, now)
	f.Problems = append(doubtful, again...)
	id := r.RunID.String()
	switch {
	case len(f.Problems) == 0:
		return f, false
	case r.Status == string(backfill.StatusRunning):
		f.Recommendation, f.Command = "revalidate", "runs-resume "+id
	case len(doubtful) > 0 && r.CandlesInserted > 0:
		f.Recommendation, f.Command = "rollback", "runs-rollback "+id+" --dry-run"
	case r.ErrorsCount+r.CancelledChunks > 0:
		f.Recommendation, f.Command = "revalidate", "runs-retry "+id
	case r.CandlesInserted == 0:
		f.Recommendation = "ignore"
	default:
		f.Recommendation, f.Command = "revalidate", "runs-details "+id
	}
	return f, true
}

// doubts are reasons not to trust the candles.
func doubts(r clickhouse.RunRow, th thresholds) (problems []string) {
	if rate := share(r.ZeroVolumeCount, r.CandlesFetched); rate >= th.zeroVolumeRate {
		problems = append(problems, fmt.Sprintf("%.0f%% of the candles without volume", 100*rate))
	}
	if rate := share(r.CandlesRejected, r.CandlesFetched); rate >= th.rejectionRate {
		problems = append(problems, fmt.Sprintf("%.0f%% of the candles rejected", 100*rate))
	}
	if r.CandlesFetched != r.CandlesInserted+r.CandlesRejected+r.CandlesDeduplicated {
		problems = append(problems, "fetched differs from inserted + rejected + deduplicated")
	}
	return problems
}

// troubles are reasons to go on with the run.
func troubles(r clickhouse.RunRow, th thresholds, now time.Time) (problems []string) {
	if rate := share(r.ErrorsCount, r.PlannedChunks); rate >= th.errorRate {
		problems = append(problems, fmt.Sprintf("%.0f%% of the chunks failed", 100*rate))
	}
	if r.Status == string(backfill.StatusFailed) && len(problems) == 0 {
		problems = append(problems, "failed: "+r.ErrorMessage)
	}
	if r.Status == string(backfill.StatusRunning) && now.Sub(r.StartedAt) >= th.stuckAfter {
		problems = append(problems, "running for "+now.Sub(r.StartedAt).Round(time.Minute).String())
	}
	return problems
}

func share(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
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

package cli

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
)

// runsDetailsOptions are the flags of runs-details.
type runsDetailsOptions struct {
	formatFlag
	run           string
	tasks, failed bool
}

func newRunsDetailsCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsDetailsOptions), a.runRunsDetails, &cobra.Command{
		Use:     "runs-details RUN-ID",
		Short:   "Show everything about a run: manifest, stats, identity check, failed chunks by error",
		Example: "  quantbot ohlcv runs-details 0192f0c1 --failed",
		Args:    cobra.ExactArgs(1),
	})
}

func (o *runsDetailsOptions) register(flags *pflag.FlagSet) {
	flags.BoolVar(&o.tasks, "tasks", false, "also list the chunks")
	flags.BoolVar(&o.failed, "failed", false, "also list the failed chunks; --tasks lists all")
	o.registerFormat(flags, "")
}

func (o *runsDetailsOptions) check(_ *app, _ *cobra.Command, args []string) error {
	o.run = args[0]
	return o.checkFormat()
}

func (a *app) runRunsDetails(ctx context.Context, o *runsDetailsOptions) error {
	return a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		d, err := readDetails(ctx, history, o)
		if err != nil {
			return err
		}
		d.Repairs = repairs(ctx, cfg, d.RunID)
		d.listedRun = a.withLive(ctx, cfg, []backfill.RunRow{d.RunRow})[0]
		if o.format == "json" {
			return a.printJSON(d)
		}
		a.printDetails(d)
		return nil
	})
}

// runDetails is what runs-details shows; its JSON begins with the run's columns.
type runDetails struct {
	listedRun
	IdentityHolds bool                   `json:"identity_holds"`
	Failures      []report.FailedGroup   `json:"failures"`
	Rejected      []report.RejectedCount `json:"rejected_by_rule"`
	// Events are the run's attempts, and who rolled it back or restored it, when and why.
	Events []report.RunEvent    `json:"events"`
	Tasks  []report.TaskDetails `json:"tasks,omitzero"`
	// Repairs is what reconcilers did for the run, as long as Redis has it.
	Repairs map[backfill.RepairAction]int64 `json:"repairs,omitempty"`
}

// repairs are nice to know, so a Redis that does not answer is no error.
func repairs(ctx context.Context, cfg config.Config, runID uuid.UUID) map[backfill.RepairAction]int64 {
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err != nil {
		return nil
	}
	defer func() { _ = stores.Close() }() // it was only read from
	done, err := stores.Ledger.Repairs(ctx, runID)
	if err != nil {
		return nil
	}
	return done
}

// shownTasks bounds what --tasks lists.
const shownTasks = 10_000

func readDetails(ctx context.Context, history *clickhouse.DB, o *runsDetailsOptions) (d runDetails, err error) {
	runID, err := resolveRun(ctx, history, o.run)
	if err != nil {
		return d, err
	}
	if d.RunRow, err = history.RunDetails(ctx, runID); err != nil {
		return d, err
	}
	d.IdentityHolds = d.Stats().Balanced()
	if d.Failures, err = report.New(history).FailedChunks(ctx, runID); err != nil {
		return d, err
	}
	if d.Rejected, err = report.New(history).RejectedByRule(ctx, runID); err != nil {
		return d, err
	}
	if d.Events, err = report.New(history).RunEvents(ctx, runID); err != nil {
		return d, err
	}
	if o.tasks || o.failed {
		var filter report.TaskFilter
		if !o.tasks {
			filter.Statuses = []string{string(backfill.OutcomeFailed)}
		}
		d.Tasks, err = report.New(history).Tasks(ctx, runID, filter, shownTasks)
	}
	return d, err
}

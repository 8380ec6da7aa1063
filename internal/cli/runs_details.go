package cli

import (
	"context"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
)

func (a *app) runsDetailsCommand() *cobra.Command {
	var format string
	var tasks, failed bool
	cmd := &cobra.Command{
		Use:     "runs-details RUN-ID",
		Short:   "Show everything about a run: manifest, stats, identity check, failed chunks by error",
		Example: "  quantbot ohlcv runs-details 0192f0c1 --failed",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(cfg config.Config, history *clickhouse.DB) error {
				d, err := readDetails(cmd.Context(), history, args[0], tasks, failed)
				if err != nil {
					return err
				}
				d.Repairs = repairs(cmd.Context(), cfg, d.RunID)
				d.listedRun = a.withLive(cmd.Context(), cfg, []clickhouse.RunRow{d.RunRow})[0]
				if format == "json" {
					return a.printJSON(d)
				}
				a.printDetails(d)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&tasks, "tasks", false, "also list the chunks")
	cmd.Flags().BoolVar(&failed, "failed", false, "also list the failed chunks; --tasks lists all")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// runDetails is what runs-details shows; its JSON begins with the run's columns.
type runDetails struct {
	listedRun
	IdentityHolds bool                       `json:"identity_holds"`
	Failures      []clickhouse.FailedGroup   `json:"failures"`
	Rejected      []clickhouse.RejectedCount `json:"rejected_by_rule"`
	// Events are the run's attempts, and who rolled it back or restored it, when and why.
	Events []clickhouse.RunEvent    `json:"events"`
	Tasks  []clickhouse.TaskDetails `json:"tasks,omitzero"`
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

func readDetails(ctx context.Context, history *clickhouse.DB, prefix string, tasks, failed bool) (d runDetails, err error) {
	runID, err := resolveRun(ctx, history, prefix)
	if err != nil {
		return d, err
	}
	if d.RunRow, err = history.RunDetails(ctx, runID); err != nil {
		return d, err
	}
	d.IdentityHolds = d.Stats().Balanced()
	if d.Failures, err = history.FailedChunks(ctx, runID); err != nil {
		return d, err
	}
	if d.Rejected, err = history.RejectedByRule(ctx, runID); err != nil {
		return d, err
	}
	if d.Events, err = history.RunEvents(ctx, runID); err != nil {
		return d, err
	}
	if tasks || failed {
		var filter clickhouse.TaskFilter
		if !tasks {
			filter.Statuses = []string{string(backfill.OutcomeFailed)}
		}
		d.Tasks, err = history.Tasks(ctx, runID, filter, shownTasks)
	}
	return d, err
}

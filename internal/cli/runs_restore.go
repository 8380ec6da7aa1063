package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
)

func (a *app) runsRestoreCommand() *cobra.Command {
	var reason, format string
	cmd := &cobra.Command{
		Use:     "runs-restore RUN-ID",
		Short:   "Take a rollback back: the run's candles are served again",
		Long:    "Take a rollback back: the run's candles are served again, at once. It is refused once a sweep has begun to purge the run.",
		Example: "  quantbot ohlcv runs-restore 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withStores(cmd.Context(), func(_ config.Config, stores *wiring.Stores) error {
				runID, err := resolveRun(cmd.Context(), stores.History, args[0])
				if err != nil {
					return err
				}
				err = a.operator(stores, "runs-restore").Restore(cmd.Context(), runID, clickhouse.Request{By: operatorName(), Reason: reason})
				if err := refusal(runID, err); err != nil {
					return err
				}
				if format == "json" {
					return a.printStoredRun(cmd.Context(), stores, runID)
				}
				fmt.Fprintf(a.stderr, "Run %s is served again.\n", runID)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json (the run as it is then)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

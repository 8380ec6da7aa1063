package cli

import (
	"github.com/spf13/cobra"
)

func newOHLCVCommand(a *app) *cobra.Command {
	cmd := groupCommand("ohlcv", "Look at runs and candles", "quantbot ohlcv runs-list")
	cmd.AddCommand(newRunsListCommand(a), newRunsDetailsCommand(a), newRunsWatchCommand(a), newRunsCancelCommand(a),
		newRunsRetryCommand(a), newRunsResumeCommand(a), newRunsRollbackCommand(a), newRunsRestoreCommand(a), newDedupSweepCommand(a),
		newRunsDiffCommand(a), newValidateDuplicatesCommand(a), newCoverageCommand(a), newGapsCommand(a), newQueryCommand(a), newExportCommand(a),
		newSourcesCommand(a), newSourcesUnparkCommand(a))
	return cmd
}

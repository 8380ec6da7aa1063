package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) ohlcvCommand() *cobra.Command {
	cmd := groupCommand("ohlcv", "Look at runs and candles", "quantbot ohlcv runs-list")
	cmd.AddCommand(a.runsListCommand(), a.runsDetailsCommand(), a.runsWatchCommand(), newRunsCancelCommand(a),
		newRunsRetryCommand(a), newRunsResumeCommand(a), newRunsRollbackCommand(a), newRunsRestoreCommand(a), a.dedupSweepCommand(),
		a.runsDiffCommand(), a.validateDuplicatesCommand(), a.coverageCommand(), a.gapsCommand(), a.queryCommand(), a.exportCommand(),
		a.sourcesCommand(), a.sourcesUnparkCommand())
	return cmd
}

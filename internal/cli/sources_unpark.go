package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"quantbot/internal/source/budget"
	"quantbot/internal/wiring"
)

func (a *app) sourcesUnparkCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "sources-unpark NAME",
		Short: "Ask a parked or pausing source again at once",
		Long: `Ask a source again at once that was parked because its quota was used up, after buying more for example, or that all workers leave
alone because it said that it was asked too fast. Chunks that wait for it are taken up at once.`,
		Example:   "  quantbot ohlcv sources-unpark birdeye",
		Args:      cobra.ExactArgs(1),
		ValidArgs: wiring.SourceNames(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(wiring.SourceNames(), args[0]) {
				return fmt.Errorf("unknown source %q (known: %s)", args[0], strings.Join(wiring.SourceNames(), ", "))
			}
			return a.withRedis(cmd.Context(), func(stores *wiring.Stores) error {
				unparked, err := budget.Unpark(cmd.Context(), stores.Redis, args[0])
				if err != nil {
					return err
				}
				hurried, err := stores.Queue.RunDelayedNow()
				fmt.Fprintf(a.stderr, "%s: unparked %s; %s taken up again\n", args[0], counted(unparked, "account"), counted(hurried, "waiting chunk"))
				return err
			})
		},
	}
}

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/source/budget"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// sourcesUnparkOptions are the arguments of sources-unpark; it has no flags.
type sourcesUnparkOptions struct{ source string }

func newSourcesUnparkCommand(a *app) *cobra.Command {
	return newCommand(a, new(sourcesUnparkOptions), a.runSourcesUnpark, &cobra.Command{
		Use:   "sources-unpark NAME",
		Short: "Ask a parked or pausing source again at once",
		Long: `Ask a source again at once that was parked because its quota was used up, after buying more for example, or that all workers leave
alone because it said that it was asked too fast. Chunks that wait for it are taken up at once.`,
		Example:   "  quantbot ohlcv sources-unpark " + register.DefaultName,
		Args:      cobra.ExactArgs(1),
		ValidArgs: register.Names(),
	})
}

func (o *sourcesUnparkOptions) register(*pflag.FlagSet) {}

func (o *sourcesUnparkOptions) check(_ *app, _ *cobra.Command, args []string) error {
	if o.source = args[0]; !slices.Contains(register.Names(), o.source) {
		return fmt.Errorf("unknown source %q (known: %s)", o.source, strings.Join(register.Names(), ", "))
	}
	return nil
}

func (a *app) runSourcesUnpark(ctx context.Context, o *sourcesUnparkOptions) error {
	return a.withRedis(ctx, func(stores *wiring.Stores) error {
		unparked, err := budget.Unpark(ctx, stores.Redis, o.source)
		if err != nil {
			return err
		}
		resumed, err := stores.Queue.RunDelayedNow()
		fmt.Fprintf(a.stderr, "%s: unparked %s; %s taken up again\n", o.source, counted(unparked, "account"), counted(resumed, "waiting chunk"))
		return err
	})
}

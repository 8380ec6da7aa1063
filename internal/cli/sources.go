package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/fleet"
	"quantbot/internal/source/budget"
	"quantbot/internal/wiring"
)

// sourcesOptions are the flags of sources.
type sourcesOptions struct{ formatFlag }

func newSourcesCommand(a *app) *cobra.Command {
	return newCommand(a, new(sourcesOptions), a.runSources, &cobra.Command{
		Use:   "sources",
		Short: "Show how fast each source's accounts are asked, and which ones pause or are parked",
		Long: `Show the budgets that the workers share. An account is what a service counts requests by: that of a key, shown by a digest,
or all workers together where a service wants no key. Paused: the service said that it was asked too fast. Parked: its
quota is used up; it is asked again then, or at once after sources-unpark. A source that answers nobody is shown with the
moment since when and the error, as long as a worker has chunks for it.`,
		Example: "  quantbot ohlcv sources",
		Args:    cobra.NoArgs,
	})
}

func (o *sourcesOptions) register(flags *pflag.FlagSet) { o.registerFormat(flags, "") }

func (o *sourcesOptions) check(*app, *cobra.Command, []string) error { return o.checkFormat() }

func (a *app) runSources(ctx context.Context, o *sourcesOptions) error {
	return a.withRedis(ctx, func(stores *wiring.Stores) error {
		all, err := budget.List(ctx, stores.Redis)
		if err != nil {
			return err
		}
		waits, err := stores.Ledger.Waits(ctx)
		if err != nil {
			return err
		}
		listed := a.withWaits(all, waits)
		if o.format == "json" {
			return a.printJSON(listed)
		}
		a.printSources(listed)
		return nil
	})
}

// listedSource is an account with what it, or all of its source, waits for.
type listedSource struct {
	budget.Status
	Waits      []backfill.Wait `json:"waits,omitempty"`
	WaitingFor []string        `json:"waiting_for"`
}

// state is ready only when nothing holds the account up.
func (s listedSource) state() string {
	if len(s.WaitingFor) == 0 {
		return string(backfill.AccountReady)
	}
	return strings.Join(s.WaitingFor, "; ")
}

func (a *app) withWaits(all []budget.Status, shown []backfill.Wait) []listedSource {
	listed := make([]listedSource, len(all))
	for i, status := range all {
		waits := fleet.AccountWaits(status, shown, a.now())
		listed[i] = listedSource{Status: status, Waits: waits, WaitingFor: backfill.Sentences(waits)}
	}
	return listed
}

func (a *app) printSources(all []listedSource) {
	if len(all) == 0 {
		fmt.Fprintln(a.stdout, "No source has been asked yet.")
		return
	}
	t := a.newTable("source", "account", "a second", "of", "workers", "state")
	for _, s := range all {
		t.AppendRow([]any{s.Source, s.ID, fmt.Sprintf("%.3g", s.PerSecond), fmt.Sprintf("%.3g", s.Configured), s.Workers, s.state()})
	}
	t.Render()
}

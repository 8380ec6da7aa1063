package cli

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/config"
	"quantbot/internal/dashboard"
	"quantbot/internal/wiring"
)

// dashboardOptions are the flags of dashboard.
type dashboardOptions struct {
	listen string
	public bool // other machines can reach it
}

func newDashboardCommand(a *app) *cobra.Command {
	return newCommand(a, new(dashboardOptions), a.runDashboard, &cobra.Command{
		Use:   "dashboard",
		Short: "Show runs, workers and queues in a browser",
		Long: `Serve the dashboard: runs with their progress, manifests, errors and chunks; workers, queues and budgets. Ctrl-C stops it.

Without QUANTBOT_DASHBOARD_TOKEN it only shows, and only listens on this machine. With it, whoever logs in with the token
may also cancel, retry, roll back, restore and sweep; each action is shown before, asked for, and written down. Beyond
this machine (--listen 0.0.0.0:8080) every page wants the token; put TLS in front of it there. With --local every page
wants a login, too: the address that is shown logs you in, once.`,
		Example: `  quantbot dashboard
  quantbot --local dashboard --listen 127.0.0.1:0
  QUANTBOT_DASHBOARD_TOKEN=$(openssl rand -hex 16) quantbot dashboard`,
		Args: cobra.NoArgs,
	})
}

func (o *dashboardOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.listen, "listen", dashboardAddress, "`ADDRESS` to listen on; port 0 takes a free one")
}

func (o *dashboardOptions) check(a *app, _ *cobra.Command, _ []string) error {
	if _, _, err := net.SplitHostPort(o.listen); err != nil {
		return fmt.Errorf("--listen %q is not like 127.0.0.1:8080", o.listen)
	}
	if o.public = !dashboard.IsLoopback(o.listen); o.public && a.getenv(dashboardToken) == "" {
		return usageError("--listen %s lets other machines look, and nothing asks who they are: set QUANTBOT_DASHBOARD_TOKEN, or listen on 127.0.0.1", o.listen)
	}
	return nil
}

func (a *app) runDashboard(ctx context.Context, o *dashboardOptions) error {
	return a.withStores(ctx, func(cfg config.Config, stores *wiring.Stores) error {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.listen)
		if err != nil {
			return wiring.ListenError("--listen", o.listen, err)
		}
		// Local engines are their owner's alone; without a token the dashboard would show to every user what they keep.
		private := a.localDir != "" && !o.public
		serve, err := a.openDashboard(cfg, stores, listener, o.public, private, "set QUANTBOT_DASHBOARD_TOKEN to log in with that")
		if err != nil {
			return err
		}
		return serve(ctx)
	})
}

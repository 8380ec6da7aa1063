package cli

import (
	"context"
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"quantbot/internal/config"
	"quantbot/internal/dashboard"
	"quantbot/internal/wiring"
)

// dashboardAddress is where the dashboard listens unless told otherwise: this machine only.
const dashboardAddress = "127.0.0.1:8080"

func (a *app) dashboardCommand() *cobra.Command {
	var listen string
	cmd := &cobra.Command{
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := net.SplitHostPort(listen); err != nil {
				return fmt.Errorf("--listen %q is not like 127.0.0.1:8080", listen)
			}
			return a.serveDashboard(cmd.Context(), listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", dashboardAddress, "`ADDRESS` to listen on; port 0 takes a free one")
	return cmd
}

func (a *app) serveDashboard(ctx context.Context, listen string) error {
	public := !dashboard.IsLoopback(listen)
	if public && a.getenv("QUANTBOT_DASHBOARD_TOKEN") == "" {
		return usageError("--listen %s lets other machines look, and nothing asks who they are: set QUANTBOT_DASHBOARD_TOKEN, or listen on 127.0.0.1", listen)
	}
	return a.withStores(ctx, func(cfg config.Config, stores *wiring.Stores) error {
		listener, err := new(net.ListenConfig).Listen(ctx, "tcp", listen)
		if err != nil {
			return wiring.ListenError("--listen", listen, err)
		}
		// Local engines are their owner's alone; without a token the dashboard would show to every user what they keep.
		private := a.localDir != "" && !public
		serve, err := a.openDashboard(cfg, stores, listener, public, private, "set QUANTBOT_DASHBOARD_TOKEN to log in with that")
		if err != nil {
			return err
		}
		return serve(ctx)
	})
}

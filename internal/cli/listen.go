package cli

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"sync"

	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/metrics"
	"quantbot/internal/secret"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
	"quantbot/internal/wiring/dashboardwiring"
)

// reachableURL is where this machine reaches a server that listens on the address: "every address" is none that a browser
// could open.
func reachableURL(address string) string {
	host, port, err := net.SplitHostPort(address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return "http://" + net.JoinHostPort("127.0.0.1", port) + " (and this machine's other addresses)"
	}
	return "http://" + address
}

// openDashboard says where the dashboard is; serve serves it until its context ends. A private one has a token in any case, and
// its address logs in once; after that there is another way.
func (a *app) openDashboard(cfg config.Config, stores *wiring.Stores, listener net.Listener, public, private bool, otherWay string) (serve func(context.Context) error, err error) {
	if private && cfg.DashboardToken == "" {
		cfg.DashboardToken = secret.Text(rand.Text())
	}
	m := wiring.NewMetrics(stores, cfg, manifest.CurrentBuild(), nil, a.now)
	m.WatchWaits(stores.Fleet.WaitsForMetrics(a.now), a.now)
	d, release, err := dashboardwiring.New(cfg, stores, dashboardwiring.Options{
		Public: public, Private: private, Metrics: metrics.Handler(m.Registry()), Logger: a.logger(), Now: a.now,
	})
	if err != nil {
		_ = listener.Close() // the other error says more
		return nil, err
	}
	at := reachableURL(listener.Addr().String())
	if private {
		at += d.LoginOnce(operatorName()) + " (logs you in, once; " + otherWay + ")"
	}
	fmt.Fprintln(a.stderr, "dashboard on", at)
	return func(ctx context.Context) error { return errors.Join(d.Serve(ctx, listener), release()) }, nil
}

// dashboardAddress is where the dashboard listens unless another address is given: this machine only.
const dashboardAddress = "127.0.0.1:8080"

const dashboardToken = "QUANTBOT_DASHBOARD_TOKEN"

// dashboardBeside serves the dashboard beside the rest, to whoever started it alone; stop ends it and waits.
func (a *app) dashboardBeside(ctx context.Context, vars map[string]string, otherWay string) (stop func(), err error) {
	cfg, err := register.LoadConfig(func(name string) string { return vars[name] })
	if err != nil {
		return nil, &exitError{exitUsage, err}
	}
	stores, err := wiring.OpenStores(ctx, cfg, a.logger())
	if err != nil {
		return nil, err
	}
	listener, err := a.freeListener(ctx)
	if err != nil {
		return nil, errors.Join(err, stores.Close())
	}
	serve, err := a.openDashboard(cfg, stores, listener, false, true, otherWay)
	if err != nil {
		return nil, errors.Join(err, stores.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := errors.Join(serve(ctx), stores.Close()); err != nil {
			a.logger().ErrorContext(ctx, "dashboard failed", "err", err)
		}
	})
	return func() { cancel(); serving.Wait() }, nil
}

// freeListener listens where the dashboard is expected, or on any port when another program is there.
func (a *app) freeListener(ctx context.Context) (net.Listener, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", dashboardAddress)
	if err != nil {
		listener, err = listen.Listen(ctx, "tcp", "127.0.0.1:0")
	}
	if err != nil {
		return nil, fmt.Errorf("listen for the dashboard: %w", err)
	}
	return listener, nil
}

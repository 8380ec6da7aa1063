package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"quantbot/internal/config"
	"quantbot/internal/devstack"
	"quantbot/internal/wiring"
)

func (a *app) devCommand() *cobra.Command {
	var dir, envFile string
	var enginesOnly bool
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine: Redis, ClickHouse, a simulated market, a worker and the dashboard",
		Long: `Run Redis and ClickHouse on free loopback ports, and, unless --engines-only, the simulated market, one worker and the
dashboard (on 127.0.0.1:8080, or a free port when that is taken), until Ctrl-C. Data stays in --dir. Both stores and the
dashboard have passwords of this start: the variables by which other commands find all this are written to a file that you alone can
read, --env-file, once everything answers, and are shown nowhere.`,
		Example: "  quantbot dev &\n  until [ -f .quantbot/dev/env ]; do sleep 1; done; set -a; . .quantbot/dev/env; quantbot ohlcv runs-list",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.begin()
			return a.dev(cmd.Context(), dir, envFile, enginesOnly)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", devDefault, "where the data is kept; not where --local keeps real candles")
	cmd.Flags().StringVar(&envFile, "env-file", "", "write the environment as KEY=value lines to this `FILE` (default: env in --dir)")
	cmd.Flags().BoolVar(&enginesOnly, "engines-only", false, "only Redis and ClickHouse")
	return cmd
}

// devDefault is a directory of its own: simulated candles never share one with real ones.
var devDefault = filepath.Join(localDefault, "dev")

// devRPS is how many requests a second the simulated market is asked at most.
const devRPS = 500

func (a *app) dev(ctx context.Context, dir, envFile string, enginesOnly bool) (err error) {
	engines, err := devstack.StartEngines(ctx, dir)
	if err != nil {
		return err
	}
	defer a.stopEngines(ctx, engines)
	fmt.Fprintln(a.stderr, engines.Describe())
	more := map[string]string{}
	if !enginesOnly {
		market, stop, err := a.devServices(ctx, engines.Vars())
		if err != nil {
			return err
		}
		defer stop()
		more = market.Vars(devRPS)
		fmt.Fprintln(a.stderr, "simulated market on", market.URL(), "and one worker")
		more[dashboardToken] = cmp.Or(a.getenv(dashboardToken), rand.Text())
		vars := engines.Vars()
		vars[dashboardToken] = more[dashboardToken]
		stopDashboard, err := a.devDashboard(ctx, vars, "then with QUANTBOT_DASHBOARD_TOKEN of the environment file")
		if err != nil {
			return err
		}
		defer stopDashboard()
	}
	envFile = cmp.Or(envFile, filepath.Join(dir, "env"))
	if err := engines.WriteEnvFile(envFile, more); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(envFile)) }() // it would lead to ports that are closed
	fmt.Fprintf(a.stderr, "environment, with the passwords, for you alone in %s; to use it: set -a; . %s; set +a\n", envFile, shellWord(envFile))
	fmt.Fprintln(a.stderr, "Ctrl-C stops everything; the data stays in", dir)
	<-ctx.Done()
	return nil
}

const dashboardToken = "QUANTBOT_DASHBOARD_TOKEN"

// devDashboard serves the dashboard beside the rest, to whoever started it alone; stop ends it and waits.
func (a *app) devDashboard(ctx context.Context, vars map[string]string, otherWay string) (stop func(), err error) {
	cfg, err := config.Load(func(name string) string { return vars[name] })
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

// shellWord writes a path so that it can be pasted after the shell's dot, which looks for bare names elsewhere.
func shellWord(path string) string {
	if !strings.Contains(path, "/") {
		path = "./" + path
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

// claimDirectory makes the directory one of simulated candles, and refuses one that has real ones.
func (a *app) claimDirectory(ctx context.Context, cfg config.Config, market *devstack.Market) (err error) {
	stores, err := wiring.OpenStores(ctx, cfg, a.logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	return market.Claim(ctx, cfg, stores, operatorName())
}

// devServices starts the simulated market and a worker in this process, so they die with it. vars are those of the engines; more are
// the market's.
func (a *app) devServices(ctx context.Context, vars map[string]string) (market *devstack.Market, stop func(), err error) {
	if market, err = devstack.StartMarket(ctx, 0, a.now); err != nil {
		return nil, nil, err
	}
	maps.Copy(vars, market.Vars(devRPS))
	cfg, err := config.Load(func(name string) string { return vars[name] })
	if err == nil {
		err = a.claimDirectory(ctx, cfg, market)
	}
	if err != nil {
		return nil, nil, errors.Join(err, market.Stop(ctx))
	}
	stopWorker := devstack.StartWorker(ctx, cfg, a.logger(), a.now)
	return market, func() {
		stopWorker()
		if err := market.Stop(ctx); err != nil {
			a.logger().WarnContext(ctx, "simulated market not stopped in order", "err", err)
		}
	}, nil
}

package cli

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/config"
	"quantbot/internal/devstack"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// devOptions are the flags of dev.
type devOptions struct {
	dir, envFile string
	enginesOnly  bool
}

func newDevCommand(a *app) *cobra.Command {
	return newCommand(a, new(devOptions), a.runDev, &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine: Redis, ClickHouse, a simulated market, a worker and the dashboard",
		Long: `Run Redis and ClickHouse on free loopback ports, and, unless --engines-only, the simulated market, one worker and the
dashboard (on 127.0.0.1:8080, or a free port when that is taken), until Ctrl-C. Data stays in --dir. Both stores and the
dashboard have passwords of this start: the variables by which other commands find all this are written to a file that you alone can
read, --env-file, once everything answers, and are shown nowhere.`,
		Example: "  quantbot dev &\n  until [ -f .quantbot/dev/env ]; do sleep 1; done; set -a; . .quantbot/dev/env; quantbot ohlcv runs-list",
		Args:    cobra.NoArgs,
	})
}

func (o *devOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.dir, "dir", devDefault, "where the data is kept; not where --local keeps real candles")
	flags.StringVar(&o.envFile, "env-file", "", "write the environment as KEY=value lines to this `FILE` (default: env in --dir)")
	flags.BoolVar(&o.enginesOnly, "engines-only", false, "only Redis and ClickHouse")
}

func (o *devOptions) check(*app, *cobra.Command, []string) error { return nil }

// devDefault is a directory of its own: simulated candles never share one with real ones.
var devDefault = filepath.Join(localDefault, "dev")

// devRPS is how many requests a second the simulated market is asked at most.
const devRPS = 500

func (a *app) runDev(ctx context.Context, o *devOptions) (err error) {
	engines, err := devstack.StartEngines(ctx, o.dir)
	if err != nil {
		return err
	}
	defer a.stopEngines(ctx, engines)
	fmt.Fprintln(a.stderr, engines.Describe())
	more := map[string]string{}
	if !o.enginesOnly {
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
		stopDashboard, err := a.dashboardBeside(ctx, vars, "then with QUANTBOT_DASHBOARD_TOKEN of the environment file")
		if err != nil {
			return err
		}
		defer stopDashboard()
	}
	envFile := cmp.Or(o.envFile, filepath.Join(o.dir, "env"))
	if err := engines.WriteEnvFile(envFile, more); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(envFile)) }() // it would lead to ports that are closed
	fmt.Fprintf(a.stderr, "environment, with the passwords, for you alone in %s; to use it: set -a; . %s; set +a\n", envFile, shellWord(envFile))
	fmt.Fprintln(a.stderr, "Ctrl-C stops everything; the data stays in", o.dir)
	<-ctx.Done()
	return nil
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
	cfg, err := register.LoadConfig(func(name string) string { return vars[name] })
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

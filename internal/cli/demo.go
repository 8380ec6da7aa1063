package cli

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/devstack"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/register"
	"quantbot/internal/worklist"
)

const (
	demoTokens  = 50
	demoWorkers = 2
	demoRPS     = 200
)

// demoOptions are the flags of demo.
type demoOptions struct{ dir string }

func newDemoCommand(a *app) *cobra.Command {
	return newCommand(a, new(demoOptions), a.runDemo, &cobra.Command{
		Use:   "demo",
		Short: "Show a whole backfill on this machine: engines, market, two workers, 50 tokens",
		Long: `Start Redis, ClickHouse and a simulated market on this machine, make a sample DuckDB file with calls of 50 tokens, start
two worker processes and the dashboard, backfill the candles around the calls, and show what became of it. Everything is
stopped at the end; the data stays in --dir.`,
		Example: `  quantbot demo
  quantbot --local=.quantbot/demo dashboard    # to look at it afterwards`,
		Args: cobra.NoArgs,
	})
}

func (o *demoOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.dir, "dir", filepath.Join(".quantbot", "demo"), "where the data is kept")
}

func (o *demoOptions) check(*app, *cobra.Command, []string) error { return nil }

func (a *app) runDemo(ctx context.Context, o *demoOptions) (err error) {
	a.step("Starting Redis and ClickHouse in %s", o.dir)
	engines, err := devstack.StartEngines(ctx, o.dir)
	if err != nil {
		return err
	}
	defer a.stopEngines(ctx, engines)
	fmt.Fprintln(a.stdout, engines.Describe())

	a.step("Starting a simulated market that speaks %s's API", register.Default().Title)
	market, err := devstack.StartMarket(ctx, 20*time.Millisecond, a.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, market.Stop(ctx)) }()
	fmt.Fprintln(a.stdout, market.URL())

	vars := engines.Vars()
	maps.Copy(vars, market.Vars(demoRPS))
	a.step("Starting %d workers, each a process of its own", demoWorkers)
	logPath := filepath.Join(o.dir, "worker.log")
	workers, err := devstack.StartProcesses(ctx, demoWorkers, vars, logPath)
	if err != nil {
		return err
	}
	defer workers.Stop()
	for _, id := range workers.IDs() {
		fmt.Fprintf(a.stdout, "worker %d (log: %s)\n", id, logPath)
	}

	a.step("Serving the dashboard while the demo runs")
	vars[dashboardToken] = a.getenv(dashboardToken)
	stopDashboard, err := a.dashboardBeside(ctx, vars, "it is there while the demo runs")
	if err != nil {
		return err
	}
	defer stopDashboard()

	outer := a.getenv
	defer func() { a.getenv = outer }()
	a.getenv = func(name string) string { return vars[name] }
	return a.demoRun(ctx, o.dir)
}

// demoRun does what a user would do, command by command.
func (a *app) demoRun(ctx context.Context, dir string) error {
	calls := demoCalls(a.now())
	file := filepath.Join(dir, "calls-"+strconv.FormatInt(a.now().Unix(), 10)+".duckdb")
	a.step("Making a sample call list: %d calls of %d tokens in %s", len(calls), demoTokens, file)
	if err := worklist.WriteSample(ctx, file, calls); err != nil {
		return err
	}
	defer os.Remove(file)
	token := calls[0].Token.Address
	for _, args := range [][]string{
		{"ingestion", "ohlcv", "--from", "-5d", "--to", "now", "--duckdb", file, "--wait"},
		{"ohlcv", "runs-list", "--limit", "3"},
	} {
		if err := a.demoCommandLine(ctx, args); err != nil {
			return err
		}
	}
	runID, err := a.newestRun(ctx)
	if err != nil {
		return err
	}
	for _, args := range [][]string{
		{"ohlcv", "runs-details", runID},
		{"ohlcv", "query", "--token", token, "--from", "-5d", "--to", "now", "--limit", "5"},
	} {
		if err := a.demoCommandLine(ctx, args); err != nil {
			return err
		}
	}
	a.step("What to try next")
	a.printFields([]field{
		{programName() + " dev", "the same engines, market and a worker, until Ctrl-C"},
		{programName() + " --local=" + dir + " dashboard", "the runs of this demo in a browser"},
		{programName() + " --local=" + dir + " ohlcv runs-list", "the runs of this demo again"},
		{programName() + " ingestion ohlcv --help", "real work: set " + register.Default().Key + " and use --local, or your own servers"},
	})
	return nil
}

// demoCalls are two calls per token within the last days, always the same relative to now.
func demoCalls(now time.Time) []worklist.Call {
	calls := make([]worklist.Call, 0, 2*demoTokens)
	for i, token := range simmarket.Tokens(demoTokens) {
		first := now.Add(-4*24*time.Hour + time.Duration(i)*37*time.Minute)
		calls = append(calls, worklist.Call{Token: token, AtMS: first.UnixMilli()},
			worklist.Call{Token: token, AtMS: first.Add(9 * time.Hour).UnixMilli()})
	}
	return calls
}

func (a *app) step(format string, args ...any) {
	fmt.Fprintf(a.stdout, "\n== "+format+"\n", args...)
}

// demoCommandLine runs one command as if it had been typed.
func (a *app) demoCommandLine(ctx context.Context, args []string) error {
	fmt.Fprintf(a.stdout, "\n$ %s", programName())
	for _, arg := range args {
		fmt.Fprint(a.stdout, " ", arg)
	}
	fmt.Fprintln(a.stdout)
	root := a.rootCommand()
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

func (a *app) newestRun(ctx context.Context) (runID string, err error) {
	err = a.withHistory(ctx, func(_ config.Config, history *clickhouse.DB) error {
		rows, err := report.New(history).Runs(ctx, report.RunFilter{Limit: 1})
		if err == nil && len(rows) == 0 {
			err = errors.New("the run is not in the history")
		}
		if err == nil {
			runID = rows[0].RunID.String()
		}
		return err
	})
	return runID, err
}

package cli

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// Outside is what a process has around it.
type Outside struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// LookupEnv reads a variable of the environment, like os.LookupEnv.
	LookupEnv func(name string) (value string, ok bool)
	// Now is the host's clock.
	Now func() time.Time
}

// Run executes a command line, without the program's name, and returns the exit code.
func Run(ctx context.Context, outside Outside, args []string) int {
	a := &app{
		stdin: outside.Stdin, stdout: outside.Stdout, stderr: outside.Stderr,
		getenv: register.Getenv(outside.LookupEnv), now: outside.Now,
	}
	return a.run(ctx, args)
}

// app is what the commands share: the process around them, which tests replace.
type app struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer
	getenv func(string) string
	now    func() time.Time

	// screen is stderr, and data stdout, before run made them printable: for what draws, and for formats that programs read.
	screen, data io.Writer

	started   bool
	logLevel  slog.Level
	logFormat string
	localDir  string
}

// run executes a command line and returns the exit code.
func (a *app) run(ctx context.Context, args []string) int {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	a.screen, a.data = a.stderr, a.stdout
	a.stdout = candle.PrintableWriter(a.stdout)
	a.stderr = wiring.WithoutSecrets(a.getenv, folded{candle.PrintableWriter(a.stderr), func() int { return terminalWidth(a.screen) }})
	root := a.rootCommand()
	a.completeInBash(root)
	root.SetArgs(args)
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	executed, err := root.ExecuteContextC(ctx)
	if err == nil {
		return 0
	}
	code := a.exitCode(ctx, err)
	fmt.Fprintf(a.stderr, "%s: %s\n", root.Name(), suggest(root, err))
	if slices.Contains(args, "--local") && strings.HasPrefix(err.Error(), "unknown command") {
		fmt.Fprintln(a.stderr, "If that is where --local is to keep its data: --local=DIR.")
	}
	if code == exitUsage && !a.started {
		fmt.Fprintf(a.stderr, "See %s --help.\n", executed.CommandPath())
	}
	return code
}

// programName is quantbot unless the program was installed as enqueuer.
func programName() string {
	if filepath.Base(os.Args[0]) == "enqueuer" {
		return "enqueuer"
	}
	return "quantbot"
}

func (a *app) rootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   programName(),
		Short: "Backfill OHLCV candles with a full audit trail",
		Long: `quantbot backfills OHLCV candles: it turns a list of tokens and a date range into tasks, which any number of workers
fetch from a market-data service and store in ClickHouse. Every run records who ran what, from which commit, with which
input, and what became of each part of it.

It is configured by the environment (see .env.example), or not at all: with --local, Redis and ClickHouse run on this
machine for as long as they are needed.`,
		Example: `  quantbot demo
  quantbot --local ingestion ohlcv --from 2024-01-01 --to 2024-01-02 --duckdb calls.duckdb
  quantbot ohlcv runs-list --status=failed`,
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           manifest.CurrentBuild().Version,
		PersistentPreRunE: func(*cobra.Command, []string) error { return wiring.CheckLogFormat(a.logFormat) },
	}
	flags := root.PersistentFlags()
	flags.Var((*localFlag)(&a.localDir), "local", "run Redis and ClickHouse on this machine, with their data in .quantbot, or elsewhere: --local=DIR")
	flags.Lookup("local").NoOptDefVal = localDefault
	flags.TextVar(&a.logLevel, "log-level", slog.LevelWarn, "log to stderr from this `LEVEL` on: debug, info, warn or error")
	flags.StringVar(&a.logFormat, "log-format", "text", "log as text or json")
	root.AddCommand(newIngestionCommand(a), newOHLCVCommand(a), newMigrateCommand(a), newDoctorCommand(a), newDevCommand(a),
		newDemoCommand(a), newDashboardCommand(a), newManCommand(a), newSimmarketCommand(a), newSQLCommand(a), newVersionCommand(a), newWorkerCommand(a), newAlertTestCommand(a))
	a.complete(root)
	return root
}

// localDefault is where --local keeps its data.
const localDefault = ".quantbot"

// localFlag is the directory of --local. Its value is optional, so it can only be given with an equals sign: without a name of
// its type, the help does not show it as another argument.
type localFlag string

func (f *localFlag) String() string     { return string(*f) }
func (f *localFlag) Set(s string) error { *f = localFlag(s); return nil }
func (f *localFlag) Type() string       { return "" }

func (a *app) logger() *slog.Logger {
	return slog.New(wiring.LogHandler(a.stderr, a.logFormat, a.logLevel))
}

// begin marks the end of reading the command line: what fails from here on is no wrong usage.
func (a *app) begin() { a.started = true }

// command is how a command is typed that goes on with what this one did.
func (a *app) command(rest string) string {
	if a.localDir != "" {
		return fmt.Sprintf("%s --local=%s %s", programName(), a.localDir, rest)
	}
	return programName() + " " + rest
}

// Command worker takes tasks from the queue, fetches candles and stores them. Any number may run, on any machine that
// reaches Redis and ClickHouse.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdout, os.Stderr))
}

// run returns the exit code: 0 done, 1 failed, 2 wrong usage.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	started := false
	stdout, stderr = candle.PrintableWriter(stdout), wiring.WithoutSecrets(os.Getenv, candle.PrintableWriter(stderr))
	cmd := newCommand(stderr, &started)
	cmd.SetArgs(args)
	cmd.SetOut(stdout)
	cmd.SetErr(stderr)
	err := cmd.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case started:
		fmt.Fprintln(stderr, "worker:", err)
		return 1
	default:
		fmt.Fprintln(stderr, "worker:", err)
		fmt.Fprintln(stderr, "See worker --help.")
		return 2
	}
}

// newCommand sets started once the arguments and the environment are understood.
func newCommand(stderr io.Writer, started *bool) *cobra.Command {
	var concurrency int
	var shutdown time.Duration
	var sweepCron, metricsAddr, logFormat string
	var level slog.Level
	build := manifest.CurrentBuild()
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Fetch candles and store them, task by task",
		Long: `worker takes tasks from the queue in Redis, fetches candles from their source and stores them in ClickHouse.
Run as many as you like, on any machine that reaches Redis and ClickHouse.

SIGTERM or Ctrl-C stops it gracefully: it takes no new task and finishes what it has; a second one stops it at once. What
it could not finish goes back to the queue.

It is configured by the environment: REDIS_URL, CLICKHOUSE_HOST, CLICKHOUSE_PORT, CLICKHOUSE_DATABASE, CLICKHOUSE_USER,
CLICKHOUSE_PASSWORD, ` + strings.Join(register.Default().Variables(), ", ") + `, and QUANTBOT_ALERT_WEBHOOK_URL for alerts. See
.env.example.

With --metrics-addr it serves /metrics for Prometheus, /healthz (it is alive) and /readyz (Redis and ClickHouse answer), to
whoever reaches that address.`,
		Example:       "  worker\n  worker --concurrency 64\n  worker --metrics-addr 127.0.0.1:9464",
		Args:          cobra.NoArgs,
		Version:       build.Version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := register.LoadConfig(register.Getenv(os.LookupEnv))
			if err != nil {
				return err
			}
			if concurrency < 1 || concurrency > 1_000 {
				return fmt.Errorf("--concurrency must be between 1 and 1000, not %d", concurrency)
			}
			if err := errors.Join(checkCron(sweepCron), wiring.CheckLogFormat(logFormat)); err != nil {
				return err
			}
			*started = true
			limitMemory(os.Getenv, concurrency)
			ctx, stopNow, release := signals(cmd.Context())
			defer release()
			return wiring.RunWorker(ctx, wiring.WorkerConfig{
				Config: cfg, Build: build, Concurrency: concurrency, ShutdownTimeout: shutdown, StopNow: stopNow, SweepCron: sweepCron,
				MetricsAddr: metricsAddr,
				Logger:      slog.New(wiring.LogHandler(stderr, logFormat, level)), Now: time.Now,
			})
		},
	}
	cmd.Flags().IntVar(&concurrency, "concurrency", wiring.DefaultConcurrency, "tasks to run at once")
	cmd.Flags().StringVar(&sweepCron, "sweep-cron", "", "when to sweep redundant versions, in UTC: `SPEC` of five fields, @daily and the like, or off (default $QUANTBOT_SWEEP_CRON, 30 3 * * *)")
	cmd.Flags().StringVar(&metricsAddr, "metrics-addr", "", "serve metrics and health at this `HOST:PORT` (off by default)")
	cmd.Flags().TextVar(&level, "log-level", slog.LevelInfo, "log to stderr from this `LEVEL` on: debug, info, warn or error")
	cmd.Flags().StringVar(&logFormat, "log-format", "text", "log as text or json")
	cmd.Flags().DurationVar(&shutdown, "shutdown-timeout", 45*time.Second, "how long running tasks may go on after a stop signal")
	return cmd
}

// limitMemory has the garbage collector keep to what a worker needs, rather than to twice that: 100 MB for the chunks in
// hand and what is being inserted, and 256 kB for each task. GOMEMLIMIT overrules it.
func limitMemory(getenv func(string) string, concurrency int) {
	if getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(100<<20 + int64(concurrency)<<18)
	}
}

func checkCron(spec string) error {
	if spec == "" || spec == "off" {
		return nil
	}
	if err := config.CheckCron(spec); err != nil {
		return fmt.Errorf("--sweep-cron: %w", err)
	}
	return nil
}

// signals ends the context at the first stop signal and closes now at the second.
func signals(parent context.Context) (ctx context.Context, now <-chan struct{}, release func()) {
	ctx, cancel := context.WithCancel(parent)
	received := make(chan os.Signal, 2)
	signal.Notify(received, os.Interrupt, syscall.SIGTERM)
	stopNow, released := make(chan struct{}), make(chan struct{})
	go func() {
		for _, act := range []func(){cancel, func() { close(stopNow) }} {
			select {
			case <-received:
				act()
			case <-released:
				return
			}
		}
	}()
	return ctx, stopNow, func() {
		signal.Stop(received)
		close(released)
		cancel()
	}
}

package cli

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// workerOptions are the flags of worker.
type workerOptions struct {
	concurrency int
	metricsAddr string
}

// newWorkerCommand lets dev and the demo start workers when the worker program is not installed beside this one.
func newWorkerCommand(a *app) *cobra.Command {
	return newCommand(a, new(workerOptions), a.runWorker, &cobra.Command{
		Use:    "worker",
		Hidden: true,
		Args:   cobra.NoArgs,
	})
}

func (o *workerOptions) register(flags *pflag.FlagSet) {
	flags.IntVar(&o.concurrency, "concurrency", wiring.DefaultConcurrency, "tasks to run at once")
	flags.StringVar(&o.metricsAddr, "metrics-addr", "", "serve metrics and health at this `HOST:PORT` (off by default)")
}

func (o *workerOptions) check(*app, *cobra.Command, []string) error { return nil }

func (a *app) runWorker(ctx context.Context, o *workerOptions) error {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	return wiring.RunWorker(ctx, wiring.WorkerConfig{
		Config: cfg, Build: manifest.CurrentBuild(), Concurrency: o.concurrency, MetricsAddr: o.metricsAddr,
		Logger: a.logger(), Now: a.now,
	})
}

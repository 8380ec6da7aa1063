package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// workerCommand lets dev and the demo start workers when the worker program is not installed beside this one.
func (a *app) workerCommand() *cobra.Command {
	var concurrency int
	var metricsAddr string
	cmd := &cobra.Command{
		Use:    "worker",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			a.begin()
			cfg, release, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			defer release()
			return wiring.RunWorker(cmd.Context(), wiring.WorkerConfig{
				Config: cfg, Build: manifest.CurrentBuild(), Concurrency: concurrency, MetricsAddr: metricsAddr,
				Logger: a.logger(), Now: a.now,
			})
		},
	}
	cmd.Flags().IntVar(&concurrency, "concurrency", wiring.DefaultConcurrency, "tasks to run at once")
	cmd.Flags().StringVar(&metricsAddr, "metrics-addr", "", "serve metrics and health at this `HOST:PORT` (off by default)")
	return cmd
}

// executable is this program's path, for starting it again.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the own program: %w", err)
	}
	return path, nil
}

package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"quantbot/internal/clickhouse"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

func (a *app) versionCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Show which code this program was built from",
		Example: "  quantbot version --format json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			build := manifest.CurrentBuild()
			if format == "json" {
				return a.printJSON(build)
			}
			fmt.Fprintf(a.stdout, "%s %s\n", programName(), build.Version)
			a.printFields([]field{
				{"commit", build.GitCommitHash}, {"branch", build.GitBranch}, {"state", dirtiness(build.GitDirty)}, {"go", build.GoVersion},
			})
			return nil
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

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

func (a *app) doctorCommand() *cobra.Command {
	var format string
	var askAll bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that quantbot depends on, and say what to do",
		Long: `Check Redis and its settings, ClickHouse, its version, our rights and the tables, that the two belong together, and whether
an API key is set (it is not shown); how much room their disks and Redis' memory have; whether workers run, and what they wait
for; whether the sources that are in use answer (one free question each; --ask-sources asks those, too, where it costs credits); and whether the
webhook's host is there (nothing is sent). The exit code is 1 when something keeps quantbot from working.`,
		Example: `  quantbot doctor
  quantbot --local doctor --format json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			a.begin()
			findings, err := a.examine(cmd.Context(), askAll)
			if err != nil {
				return err
			}
			return a.printFindings(findings, format)
		},
	}
	cmd.Flags().BoolVar(&askAll, "ask-sources", false, "also ask the sources where a question costs credits")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

var errUnhealthy = errors.New("something keeps quantbot from working: see above")

func (a *app) printFindings(findings []clickhouse.Finding, format string) error {
	var err error
	for _, f := range findings {
		if f.Level == clickhouse.LevelError {
			err = errUnhealthy
		}
		if format == "json" {
			continue
		}
		width, indent := terminalWidth(a.data), strings.Repeat(" ", 8+1+24+1)
		fmt.Fprintln(a.stdout, wrapped(fmt.Sprintf("%-8s %-24s %s", f.Level, f.Name, f.Detail), width, indent))
		if f.Hint != "" {
			fmt.Fprintln(a.stdout, wrapped(indent+"→ "+f.Hint, width, indent))
		}
	}
	if format == "json" {
		err = errors.Join(a.printJSON(findings), err)
	}
	return err
}

// executable is this program's path, for starting it again.
func executable() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the own program: %w", err)
	}
	return path, nil
}

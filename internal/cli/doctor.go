package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/source/register"
)

// doctorOptions are the flags of doctor.
type doctorOptions struct {
	formatFlag
	askSources bool
}

func newDoctorCommand(a *app) *cobra.Command {
	return newCommand(a, new(doctorOptions), a.runDoctor, &cobra.Command{
		Use:   "doctor",
		Short: "Check everything that quantbot depends on, and say what to do",
		Long: `Check Redis and its settings, ClickHouse, its version, our rights and the tables, that the two belong together, and whether
an API key is set (it is not shown); how much room their disks and Redis' memory have; whether workers run, and what they wait
for; whether the sources that are in use answer (one free question each; --ask-sources asks those, too, where it costs credits); and whether the
webhook's host is there (nothing is sent). The exit code is 1 when something keeps quantbot from working.`,
		Example: `  quantbot doctor
  quantbot --local doctor --format json`,
		Args: cobra.NoArgs,
	})
}

func (o *doctorOptions) register(flags *pflag.FlagSet) {
	flags.BoolVar(&o.askSources, "ask-sources", false, "also ask the sources where a question costs credits")
	o.registerFormat(flags, "")
}

func (o *doctorOptions) check(*app, *cobra.Command, []string) error { return o.checkFormat() }

func (a *app) runDoctor(ctx context.Context, o *doctorOptions) error {
	findings, err := a.examine(ctx, o.askSources)
	if err != nil {
		return err
	}
	return a.printFindings(findings, o.format)
}

// examine looks at every dependency; one that is broken does not keep it from the others, and one that hangs does not delay
// them. askAll also asks sources where a question costs credits.
func (a *app) examine(ctx context.Context, askAll bool) ([]clickhouse.Finding, error) {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return nil, err
	}
	defer release()
	parts := make([][]clickhouse.Finding, 4)
	var looking sync.WaitGroup
	for i, look := range []func() []clickhouse.Finding{
		func() []clickhouse.Finding { return a.examineRedis(ctx, cfg) },
		func() []clickhouse.Finding { return a.examineClickHouse(ctx, cfg) },
		func() []clickhouse.Finding { return a.examineSources(ctx, cfg, askAll) },
		func() []clickhouse.Finding { return a.examineWebhook(ctx, cfg) },
	} {
		looking.Go(func() { parts[i] = look() })
	}
	looking.Wait()
	findings := slices.Concat(parts...)
	if storesAnswer(findings) {
		findings = append(findings, a.examineDeployment(ctx, cfg)...)
	}
	if a.localDir != "" {
		findings = append(findings, examineDirectory(a.localDir))
	}
	return append(findings, examineKeys(cfg)...), nil
}

// examineKeys counts the keys of each source that wants one.
func examineKeys(cfg config.Config) (findings []clickhouse.Finding) {
	for _, name := range register.Names() {
		source := cfg.Sources[name]
		f := clickhouse.Finding{Name: name + " keys", Level: clickhouse.LevelOK, Detail: fmt.Sprintf("%d set", len(source.Keys))}
		if source.KeyMissing() {
			f.Level, f.Detail = clickhouse.LevelWarning, source.Settings.Key+" is not set"
			f.Hint = "workers need it; the simulated market takes any value"
		}
		if source.Settings.Key != "" {
			findings = append(findings, f)
		}
	}
	return findings
}

// storesAnswer reports whether there is anything to compare.
func storesAnswer(findings []clickhouse.Finding) bool {
	return !slices.ContainsFunc(findings, func(f clickhouse.Finding) bool {
		return f.Level == clickhouse.LevelError && (f.Name == backfill.LedgerName || f.Name == backfill.StoreName)
	})
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

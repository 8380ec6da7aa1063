package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/source/register"
)

// runsListOptions are the flags of runs-list.
type runsListOptions struct {
	formatFlag
	status, since, inputHash, source, user, token string
	labels                                        []string
	limit                                         int

	filter report.RunFilter // what the flags mean
}

func newRunsListCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsListOptions), a.runRunsList, &cobra.Command{
		Use:   "runs-list",
		Short: "List runs, the newest first",
		Long:  "List runs, the newest first. What several flags ask for holds together; --label may be given several times.",
		Example: "  quantbot ohlcv runs-list --status=failed --since=-7d\n  quantbot ohlcv runs-list --label study=wicks --user ana\n" +
			"  quantbot ohlcv runs-list --limit=1 --format=json",
		Args: cobra.NoArgs,
	})
}

func (o *runsListOptions) register(flags *pflag.FlagSet) {
	flags.StringVar(&o.status, "status", "", strings.Join(backfill.RunStatusNames(), ", "))
	flags.StringVar(&o.since, "since", "", "runs that started at or after this `time`, such as -7d")
	flags.StringVar(&o.token, "token", "", "runs that planned this `ADDRESS` or chain:address")
	flags.StringVar(&o.source, "source", "", "runs that this source was asked for, first or as a fallback: "+strings.Join(register.Names(), ", "))
	flags.StringVar(&o.user, "user", "", "runs that this `USER` or user@host started")
	flags.StringArrayVar(&o.labels, "label", nil, "runs that have this `NAME=VALUE`; may be repeated")
	flags.StringVar(&o.inputHash, "input-hash", "", "runs with this input")
	flags.IntVar(&o.limit, "limit", report.DefaultRunLimit, "at most so many")
	o.registerFormat(flags, "")
}

func (o *runsListOptions) check(a *app, cmd *cobra.Command, _ []string) (err error) {
	if err := o.parse(); err != nil {
		return err
	}
	if o.since != "" {
		o.filter.Since, err = a.parseSince(cmd.Context(), o.since)
	}
	return err
}

// parse understands the flags but --since, which wants the stores' clock.
func (o *runsListOptions) parse() (err error) {
	o.filter = report.RunFilter{Status: backfill.RunStatus(o.status), InputHash: o.inputHash, Source: o.source, User: o.user, Limit: o.limit}
	if o.status != "" && !slices.Contains(backfill.RunStatusNames(), o.status) {
		return fmt.Errorf("--status %q is none of %s", o.status, strings.Join(backfill.RunStatusNames(), ", "))
	}
	if o.source != "" && !slices.Contains(register.Names(), o.source) {
		return fmt.Errorf("--source %q is none of %s", o.source, strings.Join(register.Names(), ", "))
	}
	if o.filter.Labels, err = parseLabels(o.labels); err != nil {
		return err
	}
	if o.filter.Token, err = parseAnyToken(o.token); err != nil {
		return fmt.Errorf("--token: %w", err)
	}
	return errors.Join(checkLimit(o.limit, 100_000), o.checkFormat())
}

func (a *app) runRunsList(ctx context.Context, o *runsListOptions) error {
	return a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		rows, err := report.New(history).Runs(ctx, o.filter)
		if err != nil {
			return err
		}
		return a.printRuns(a.withLive(ctx, cfg, rows), o.format)
	})
}

func (a *app) printRuns(rows []listedRun, format string) error {
	if format == "json" {
		return a.printJSON(rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.stdout, "No runs.")
		return nil
	}
	t := a.newTable("run id", "started", "took", "status", "source", "interval", "chunks", "failed", "tokens", "fetched", "inserted", "commit")
	t.spare = []string{"commit", "interval", "tokens", "fetched", "took", "source", "chunks", "inserted", "failed"}
	for _, r := range rows {
		t.AppendRow(table.Row{
			t.runID(r.RunID), formatTime(r.StartedAt), took(r.RunRow), r.status(), r.Source, r.Interval, r.PlannedChunks, r.ErrorsCount,
			r.TokensProcessed, r.CandlesFetched, r.CandlesInserted, commit(r.RunRow),
		})
	}
	t.Render()
	for _, r := range rows {
		for _, sentence := range r.WaitingFor {
			a.say(fmt.Sprintf("%s waits: %s", t.runID(r.RunID), sentence))
		}
	}
	return nil
}

package main

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/export"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// flagValues are the values that the shell offers for the flags of a name; the same name means the same in every command.
func flagValues() map[string][]string {
	return map[string][]string{
		"format":     {"table", "json"},
		"interval":   {"1s", "15s", "1m", "5m", "15m", "1h", "4h", "1d"},
		"resample":   {"5m", "15m", "1h", "4h", "1d"},
		"source":     wiring.SourceNames(),
		"fallback":   wiring.SourceNames(),
		"status":     runStatuses,
		"window":     {"calls", "range"},
		"dedup-mode": {string(manifest.DedupNone), string(manifest.DedupInline), string(manifest.DedupPostBatch)},
		"validation": {string(candle.Lenient), string(candle.Strict)},
		"priority":   {string(manifest.PriorityLow), string(manifest.PriorityNormal), string(manifest.PriorityHigh)},
		"log-level":  {"debug", "info", "warn", "error"},
	}
}

// runsOf are the statuses of the runs that a command is for; commands that are not here take every run.
var runsOf = map[string][]backfill.RunStatus{
	"runs-watch":    {backfill.StatusRunning},
	"runs-cancel":   {backfill.StatusRunning},
	"runs-resume":   {backfill.StatusRunning},
	"runs-retry":    {backfill.StatusFailed, backfill.StatusCancelled},
	"runs-rollback": {backfill.StatusCompleted, backfill.StatusFailed, backfill.StatusCancelled},
	"runs-restore":  {backfill.StatusRolledBack},
}

// complete tells the shell, for the command and those below it, which values flags take and which runs there are.
func (a *app) complete(cmd *cobra.Command) {
	values := flagValues()
	complete := func(f *pflag.Flag) {
		known := values[f.Name]
		if f.Name == "format" && cmd.Flags().Lookup("out") != nil {
			known = append([]string{"table"}, export.Formats()...)
			if cmd.Name() == "export" {
				known = known[1:]
			}
		}
		if f.Value.Type() != "bool" && known != nil {
			// Its only error is that the flag has one already.
			_ = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(known, cobra.ShellCompDirectiveNoFileComp))
		}
	}
	cmd.Flags().VisitAll(complete)
	cmd.PersistentFlags().VisitAll(complete)
	switch {
	case strings.Contains(cmd.Use, " RUN-"):
		cmd.ValidArgsFunction = a.completeRuns
	case cmd.Runnable() && cmd.ValidArgs == nil:
		cmd.ValidArgsFunction = cobra.NoFileCompletions
	}
	for _, sub := range cmd.Commands() {
		a.complete(sub)
	}
}

const (
	// completionTimeout is as long as somebody who pressed Tab waits.
	completionTimeout = 2 * time.Second
	completedRuns     = 50
)

// completeRuns offers the latest runs that the command is for. With --local it offers none: engines take seconds to start.
func (a *app) completeRuns(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) >= strings.Count(cmd.Use, " RUN-") || a.localDir != "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	rows, err := a.latestRuns(ctx)
	if err != nil {
		cobra.CompDebugln(err.Error(), false)
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var offered []cobra.Completion
	for _, row := range rows {
		if wanted, ok := runsOf[cmd.Name()]; !ok || slices.Contains(wanted, backfill.RunStatus(row.Status)) {
			about := strings.Join([]string{row.Status, formatTime(row.StartedAt), row.Source, row.Interval}, " ")
			offered = append(offered, cobra.CompletionWithDesc(row.RunID.String(), about))
		}
	}
	return offered, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// latestRuns reads without touching the tables, and says nothing in the middle of a command line.
func (a *app) latestRuns(ctx context.Context) ([]clickhouse.RunRow, error) {
	cfg, err := config.Load(a.getenv)
	if err != nil {
		return nil, err
	}
	history, err := wiring.OpenHistory(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	rows, err := history.Runs(ctx, clickhouse.RunFilter{Limit: completedRuns})
	_ = history.Close() // there is nobody to tell
	return rows, err
}

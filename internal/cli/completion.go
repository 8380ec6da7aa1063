package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/export"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
	"quantbot/internal/worklist"
)

// flagValues are the values that the shell offers for the flags of a name; the same name means the same in every command.
func flagValues() map[string][]string {
	return map[string][]string{
		"format":     {"table", "json"},
		"interval":   candle.IntervalNames(),
		"resample":   {"5m", "15m", "1h", "4h", "1d"},
		"source":     register.Names(),
		"fallback":   register.Names(),
		"status":     backfill.RunStatusNames(),
		"window":     {"calls", "range"},
		"dedup-mode": {string(manifest.DedupNone), string(manifest.DedupInline), string(manifest.DedupPostBatch)},
		"validation": {string(candle.Lenient), string(candle.Strict)},
		"priority":   {string(manifest.PriorityLow), string(manifest.PriorityNormal), string(manifest.PriorityHigh)},
		"log-level":  {"debug", "info", "warn", "error"},
		"log-format": wiring.LogFormats(),
		"side":       {worklist.SideBuy, worklist.SideSell},
		"outliers":   {string(manifest.OutliersKeep), string(manifest.OutliersFilter)},
		"chain":      chainNames(),
	}
}

func chainNames() (names []string) {
	for _, chain := range candle.Chains() {
		names = append(names, string(chain))
	}
	return names
}

// runsAnnotation names the statuses of the runs that a command is for.
const runsAnnotation = "quantbot_run_statuses"

// forRuns annotates a command that is only for runs of these statuses; one without the annotation takes every run.
func forRuns(statuses ...backfill.RunStatus) map[string]string {
	names := make([]string, len(statuses))
	for i, status := range statuses {
		names[i] = string(status)
	}
	return map[string]string{runsAnnotation: strings.Join(names, " ")}
}

// complete registers for the shell, for the command and those below it, which values flags take and which runs there are.
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
		if f.Name == "token" {
			_ = cmd.RegisterFlagCompletionFunc(f.Name, a.completeTokens) // as below
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
	completedTokens   = 200
)

// completeRuns offers the latest runs that the command is for. With --local it offers none: engines take seconds to start.
func (a *app) completeRuns(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
	if len(args) >= strings.Count(cmd.Use, " RUN-") || a.localDir != "" {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var rows []backfill.RunRow
	a.peek(cmd.Context(), func(ctx context.Context, history *clickhouse.DB) (err error) {
		rows, err = report.New(history).Runs(ctx, report.RunFilter{Limit: completedRuns})
		return err
	})
	var offered []cobra.Completion
	for _, row := range rows {
		if wanted, narrowed := cmd.Annotations[runsAnnotation]; !narrowed || slices.Contains(strings.Fields(wanted), row.Status) {
			about := strings.Join([]string{row.Status, formatTime(row.StartedAt), row.Source, row.Interval}, " ")
			offered = append(offered, cobra.CompletionWithDesc(row.RunID.String(), about))
		}
	}
	return offered, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeTokens offers the tokens that runs asked for at the interval of the command.
func (a *app) completeTokens(cmd *cobra.Command, _ []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
	interval := candle.Interval1m
	if flag := cmd.Flags().Lookup("interval"); flag != nil {
		if given, err := candle.ParseInterval(flag.Value.String()); err == nil {
			interval = given
		}
	}
	var tokens []candle.Token
	if a.localDir == "" {
		a.peek(cmd.Context(), func(ctx context.Context, history *clickhouse.DB) (err error) {
			tokens, err = report.New(history).RequestedTokensLike(ctx, interval, typed, completedTokens)
			return err
		})
	}
	var offered []cobra.Completion
	for _, token := range tokens {
		name := token.String()
		if token.Chain == candle.Solana || strings.HasPrefix(token.Address, typed) && typed != "" {
			name = token.Address
		}
		offered = append(offered, cobra.CompletionWithDesc(name, string(token.Chain)))
	}
	return offered, cobra.ShellCompDirectiveNoFileComp
}

// peek reads without touching the tables, within what somebody who pressed Tab waits, and says nothing in the middle of a command
// line: an error leaves nothing to offer.
func (a *app) peek(ctx context.Context, read func(context.Context, *clickhouse.DB) error) {
	ctx, cancel := context.WithTimeout(ctx, completionTimeout)
	defer cancel()
	cfg, err := register.LoadConfig(a.getenv)
	if err != nil {
		return
	}
	history, err := wiring.OpenHistory(ctx, cfg, slog.New(slog.DiscardHandler))
	if err == nil {
		err = errors.Join(read(ctx, history), history.Close())
	}
	if err != nil {
		cobra.CompDebugln(err.Error(), false)
	}
}

// bashWithoutPackage stands in for what cobra's script takes from the package bash-completion, where that is not installed: the words
// up to the cursor, cut at blanks alone. The names are those of the package.
const bashWithoutPackage = `
if ! declare -F _get_comp_words_by_ref >/dev/null 2>&1; then
    _get_comp_words_by_ref()
    {
        local line="${COMP_LINE:0:COMP_POINT}"
        read -r -a words <<<"$line"
        [[ $line == *[[:space:]] ]] && words+=("")
        cword=$((${#words[@]} - 1))
        cur="${words[cword]}"
        prev="${words[cword > 0 ? cword - 1 : 0]}"
    }
fi
`

// completeInBash makes bash's completion independent of the package bash-completion.
func (a *app) completeInBash(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	bash, _, err := root.Find([]string{"completion", "bash"})
	if err != nil {
		return // there are no commands to complete
	}
	bash.Long = strings.Replace(bash.Long, "This script depends on the 'bash-completion' package.\nIf it is not installed already, you can install it via your OS's package manager.\n\n", "", 1)
	bash.Example = "  source <(" + root.Name() + " completion bash)"
	bash.RunE = func(*cobra.Command, []string) error {
		fmt.Fprint(a.stdout, bashWithoutPackage)
		return root.GenBashCompletionV2(a.stdout, true)
	}
}

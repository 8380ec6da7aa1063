package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
	"quantbot/internal/worklist"
)

func (a *app) ohlcvCommand() *cobra.Command {
	cmd := groupCommand("ohlcv", "Look at runs and candles", "quantbot ohlcv runs-list")
	cmd.AddCommand(a.runsListCommand(), a.runsDetailsCommand(), a.runsWatchCommand(), a.runsCancelCommand(),
		a.runsRetryCommand(), a.runsResumeCommand(), a.runsRollbackCommand(), a.runsRestoreCommand(), a.dedupSweepCommand(),
		a.runsDiffCommand(), a.validateDuplicatesCommand(), a.coverageCommand(), a.gapsCommand(), a.queryCommand(), a.exportCommand(),
		a.sourcesCommand(), a.sourcesUnparkCommand())
	return cmd
}

// withHistory runs f with the history alone: reading commands need no Redis. They migrate, too: what they read may be newer
// than the tables.
func (a *app) withHistory(ctx context.Context, f func(config.Config, *clickhouse.DB) error) error {
	return a.withUntouchedHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		if _, err := history.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate ClickHouse: %w", err)
		}
		return f(cfg, history)
	})
}

// withUntouchedHistory runs f with the history, whose tables may be missing or old.
func (a *app) withUntouchedHistory(ctx context.Context, f func(config.Config, *clickhouse.DB) error) (err error) {
	a.begin()
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	history, err := wiring.OpenHistory(ctx, cfg, a.logger())
	if err != nil {
		return wiring.AsWorkersSeeIt(ctx, cfg, err)
	}
	defer func() { err = errors.Join(err, history.Close()) }()
	return f(cfg, history)
}

var runStatuses = []string{"running", "completed", "failed", "cancelled", "rolled_back"}

// runsListOptions are the flags of runs-list.
type runsListOptions struct {
	status, since, inputHash, source, user, token, format string
	labels                                                []string
	limit                                                 int
}

func (a *app) runsListCommand() *cobra.Command {
	var o runsListOptions
	cmd := &cobra.Command{
		Use:   "runs-list",
		Short: "List runs, the newest first",
		Long:  "List runs, the newest first. What several flags ask for holds together; --label may be given several times.",
		Example: "  quantbot ohlcv runs-list --status=failed --since=-7d\n  quantbot ohlcv runs-list --label study=wicks --user ana\n" +
			"  quantbot ohlcv runs-list --limit=1 --format=json",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := o.filter()
			if err != nil {
				return err
			}
			if o.since != "" {
				if filter.Since, err = a.parseSince(cmd.Context(), o.since); err != nil {
					return err
				}
			}
			return a.withHistory(cmd.Context(), func(cfg config.Config, history *clickhouse.DB) error {
				rows, err := history.Runs(cmd.Context(), filter)
				if err != nil {
					return err
				}
				return a.printRuns(a.withLive(cmd.Context(), cfg, rows), o.format)
			})
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.status, "status", "", strings.Join(runStatuses, ", "))
	f.StringVar(&o.since, "since", "", "runs that started at or after this `time`, such as -7d")
	f.StringVar(&o.token, "token", "", "runs that planned this `ADDRESS` or chain:address")
	f.StringVar(&o.source, "source", "", "runs that this source was asked for, first or as a fallback: "+strings.Join(wiring.SourceNames(), ", "))
	f.StringVar(&o.user, "user", "", "runs that this `USER` or user@host started")
	f.StringArrayVar(&o.labels, "label", nil, "runs that have this `NAME=VALUE`; may be repeated")
	f.StringVar(&o.inputHash, "input-hash", "", "runs with this input")
	f.IntVar(&o.limit, "limit", clickhouse.DefaultRunLimit, "at most so many")
	f.StringVar(&o.format, "format", "table", "table or json")
	return cmd
}

// filter understands the flags but --since, which wants the stores' clock.
func (o *runsListOptions) filter() (filter clickhouse.RunFilter, err error) {
	filter = clickhouse.RunFilter{Status: backfill.RunStatus(o.status), InputHash: o.inputHash, Source: o.source, User: o.user, Limit: o.limit}
	if o.status != "" && !slices.Contains(runStatuses, o.status) {
		return filter, fmt.Errorf("--status %q is none of %s", o.status, strings.Join(runStatuses, ", "))
	}
	if o.source != "" && !slices.Contains(wiring.SourceNames(), o.source) {
		return filter, fmt.Errorf("--source %q is none of %s", o.source, strings.Join(wiring.SourceNames(), ", "))
	}
	if filter.Labels, err = parseLabels(o.labels); err != nil {
		return filter, err
	}
	if filter.Token, err = parseAnyToken(o.token); err != nil {
		return filter, fmt.Errorf("--token: %w", err)
	}
	return filter, errors.Join(checkLimit(o.limit, 100_000), checkFormat(o.format))
}

// parseAnyToken reads chain:address, or an address that may be on any chain, as it would be stored.
func parseAnyToken(text string) (candle.Token, error) {
	switch {
	case text == "":
		return candle.Token{}, nil
	case strings.Contains(text, ":"):
		return worklist.ParseToken(text, "")
	}
	for _, chain := range []candle.Chain{candle.Solana, candle.Ethereum, candle.BinanceSpot} { // one of each form
		if token, err := candle.NewToken(chain, text); err == nil {
			return candle.Token{Address: token.Address}, nil
		}
	}
	return candle.Token{}, fmt.Errorf("%q is neither an address nor a symbol", text)
}

func (a *app) runsDetailsCommand() *cobra.Command {
	var format string
	var tasks, failed bool
	cmd := &cobra.Command{
		Use:     "runs-details RUN-ID",
		Short:   "Show everything about a run: manifest, stats, identity check, failed chunks by error",
		Example: "  quantbot ohlcv runs-details 0192f0c1 --failed",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(cfg config.Config, history *clickhouse.DB) error {
				d, err := readDetails(cmd.Context(), history, args[0], tasks, failed)
				if err != nil {
					return err
				}
				d.Repairs = repairs(cmd.Context(), cfg, d.RunID)
				d.listedRun = a.withLive(cmd.Context(), cfg, []clickhouse.RunRow{d.RunRow})[0]
				if format == "json" {
					return a.printJSON(d)
				}
				a.printDetails(d)
				return nil
			})
		},
	}
	cmd.Flags().BoolVar(&tasks, "tasks", false, "also list the chunks")
	cmd.Flags().BoolVar(&failed, "failed", false, "also list the failed chunks; --tasks lists all")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// runDetails is what runs-details shows; its JSON begins with the run's columns.
type runDetails struct {
	listedRun
	IdentityHolds bool                       `json:"identity_holds"`
	Failures      []clickhouse.FailedGroup   `json:"failures"`
	Rejected      []clickhouse.RejectedCount `json:"rejected_by_rule"`
	// Events are the run's attempts, and who rolled it back or restored it, when and why.
	Events []clickhouse.RunEvent    `json:"events"`
	Tasks  []clickhouse.TaskDetails `json:"tasks,omitzero"`
	// Repairs is what reconcilers did for the run, as long as Redis has it.
	Repairs map[backfill.RepairAction]int64 `json:"repairs,omitempty"`
}

// repairs are nice to know, so a Redis that does not answer is no error.
func repairs(ctx context.Context, cfg config.Config, runID uuid.UUID) map[backfill.RepairAction]int64 {
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err != nil {
		return nil
	}
	defer func() { _ = stores.Close() }() // it was only read from
	done, err := stores.Ledger.Repairs(ctx, runID)
	if err != nil {
		return nil
	}
	return done
}

// shownTasks bounds what --tasks lists.
const shownTasks = 10_000

func readDetails(ctx context.Context, history *clickhouse.DB, prefix string, tasks, failed bool) (d runDetails, err error) {
	runID, err := resolveRun(ctx, history, prefix)
	if err != nil {
		return d, err
	}
	if d.RunRow, err = history.RunDetails(ctx, runID); err != nil {
		return d, err
	}
	d.IdentityHolds = d.Stats().Balanced()
	if d.Failures, err = history.FailedChunks(ctx, runID); err != nil {
		return d, err
	}
	if d.Rejected, err = history.RejectedByRule(ctx, runID); err != nil {
		return d, err
	}
	if d.Events, err = history.RunEvents(ctx, runID); err != nil {
		return d, err
	}
	if tasks || failed {
		var filter clickhouse.TaskFilter
		if !tasks {
			filter.Statuses = []string{string(backfill.OutcomeFailed)}
		}
		d.Tasks, err = history.Tasks(ctx, runID, filter, shownTasks)
	}
	return d, err
}

func (a *app) runsWatchCommand() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "runs-watch RUN-ID",
		Short: "Show the progress of a run until it ends",
		Long: `Show the progress of a run until it ends. The exit code is 0 when it completed and 4 when it did not. With --local a worker
runs beside it, so a run that was interrupted there goes on.`,
		Example: "  quantbot ohlcv runs-watch 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			if err := checkFormat(format); err != nil {
				return err
			}
			ctx := cmd.Context()
			a.begin()
			cfg, release, err := a.configure(ctx)
			if err != nil {
				return err
			}
			defer release()
			stores, err := wiring.OpenStores(ctx, cfg, a.logger())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, stores.Close()) }()
			runID, err := resolveRun(ctx, stores.History, args[0])
			if err != nil {
				return err
			}
			if a.localDir != "" {
				defer a.localWorker(ctx, cfg)()
			}
			var run backfill.Run
			run.Manifest.RunID = runID
			_, err = a.wait(ctx, stores, run, format)
			return err
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// resolveRun completes the beginning of a run id.
func resolveRun(ctx context.Context, history *clickhouse.DB, text string) (uuid.UUID, error) {
	runID, err := history.ResolveRunID(ctx, text)
	switch {
	case errors.Is(err, clickhouse.ErrNoRunID):
		return uuid.Nil, usageError("%q is no run id: give one or its beginning, of at least 8 characters", text)
	case errors.Is(err, backfill.ErrUnknownRun):
		return uuid.Nil, fmt.Errorf("no run %s: see %s ohlcv runs-list", text, programName())
	}
	return runID, err
}

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os/user"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
)

func (a *app) runsRollbackCommand() *cobra.Command {
	var dryRun, yes, force bool
	var reason, format string
	cmd := &cobra.Command{
		Use:   "runs-rollback RUN-ID",
		Short: "Hide a run's candles: readers see at once what was there before",
		Long: `Hide a run's candles from readers, at once and atomically: for each candle the best version of the other runs is served
again. Nothing is deleted, so runs-restore takes it back until a sweep purges the run, one rollback window
(QUANTBOT_ROLLBACK_WINDOW, 7 days) after the rollback.

It first says what it would do, then asks. It refuses while the run is running, and where sweeps have removed versions
that the undo would need.`,
		Example: "  quantbot ohlcv runs-rollback 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f --dry-run\n  quantbot ohlcv runs-rollback 0192f0c1 --yes --reason 'source was wrong'",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withStores(cmd.Context(), func(_ config.Config, stores *wiring.Stores) error {
				ctx := cmd.Context()
				runID, err := resolveRun(ctx, stores.History, args[0])
				if err != nil {
					return err
				}
				if err := refusal(runID, stores.History.MayRollBack(ctx, runID)); err != nil {
					return err
				}
				preview, err := a.previewRollback(ctx, stores, runID, dryRun, format)
				if err != nil {
					return err
				}
				if len(preview.Removed) > 0 && !force {
					return &exitError{exitRefused, &clickhouse.UndoImpossibleError{Removed: preview.Removed}}
				}
				if dryRun {
					return nil
				}
				if err := a.confirm(cmd.Context(), yes, fmt.Sprintf("Roll back run %s?", runID)); err != nil {
					return err
				}
				return a.rollBack(ctx, stores, runID, clickhouse.Request{By: operatorName(), Reason: reason}, force, format)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would happen")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().BoolVar(&force, "force", false, "roll back even where sweeps have removed what the undo would need")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	cmd.Flags().StringVar(&format, "format", "table", "table or json (with --dry-run what would happen, else the run as it is then)")
	return cmd
}

func (a *app) previewRollback(ctx context.Context, stores *wiring.Stores, runID uuid.UUID, dryRun bool, format string) (clickhouse.RollbackPreview, error) {
	preview, err := stores.History.PreviewRollback(ctx, runID)
	if err != nil {
		return preview, err
	}
	out := a.stdout
	if format == "json" && dryRun {
		return preview, a.printJSON(preview)
	} else if format == "json" {
		out = a.stderr // the run's document follows
	}
	would := "rolling back"
	if dryRun {
		would = "would roll back"
	}
	fmt.Fprintf(out, "%s run %s (%s):\n", strings.ToUpper(would[:1])+would[1:], runID, preview.Status)
	fmt.Fprintf(out, "  %s out of the readers' sight\n", counted(preview.Versions, "version"))
	fmt.Fprintf(out, "  %s that no other run has: gone\n", counted(preview.Disappearing, "candle"))
	for _, f := range preview.FallBacks {
		fmt.Fprintf(out, "  %s falling back to run %s\n", counted(f.Candles, "candle"), f.RunID)
	}
	for _, m := range preview.Removed {
		fmt.Fprintf(out, "  %s of %d-%02d that the undo would need, removed by a sweep\n", counted(m.Versions, "version"), m.Month/100, m.Month%100)
	}
	for _, r := range preview.Relying {
		fmt.Fprintf(out, "  %s not fetched by run %s because this run had answered for them, or was about to\n", counted(r.Candles, "candle"), r.RunID)
	}
	if len(preview.Relying) > 0 {
		fmt.Fprintf(out, "  after the rollback, fetch what is missing then with: %s ohlcv gaps --run %s --fetch, or run the same input again\n", programName(), runID)
	}
	return preview, nil
}

func (a *app) rollBack(ctx context.Context, stores *wiring.Stores, runID uuid.UUID, request clickhouse.Request, force bool, format string) error {
	err := a.operator(stores, "runs-rollback").RollBack(ctx, runID, request, force)
	if err := refusal(runID, err); err != nil {
		return err
	}
	if format == "json" {
		return a.printStoredRun(ctx, stores, runID)
	}
	fmt.Fprintf(a.stderr, "Run %s is rolled back. Take it back with: %s ohlcv runs-restore %s\n", runID, programName(), runID)
	return nil
}

// printStoredRun writes the run's row as JSON, as it is now.
func (a *app) printStoredRun(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) error {
	row, err := stores.History.RunDetails(ctx, runID)
	if err != nil {
		return err
	}
	return a.printJSON(row)
}

// refusal turns what the state of the run forbids into exit code 3.
func refusal(runID uuid.UUID, err error) error {
	if _, impossible := errors.AsType[*clickhouse.UndoImpossibleError](err); impossible {
		return &exitError{exitRefused, fmt.Errorf("run %s: %w", runID, err)}
	}
	for _, reason := range []error{clickhouse.ErrRunning, clickhouse.ErrRolledBack, clickhouse.ErrNotRolledBack, clickhouse.ErrPurging} {
		if errors.Is(err, reason) {
			return &exitError{exitRefused, fmt.Errorf("run %s: %w", runID, err)}
		}
	}
	return err
}

func (a *app) runsRestoreCommand() *cobra.Command {
	var reason, format string
	cmd := &cobra.Command{
		Use:     "runs-restore RUN-ID",
		Short:   "Take a rollback back: the run's candles are served again",
		Long:    "Take a rollback back: the run's candles are served again, at once. It is refused once a sweep has begun to purge the run.",
		Example: "  quantbot ohlcv runs-restore 0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFormat(format); err != nil {
				return err
			}
			return a.withStores(cmd.Context(), func(_ config.Config, stores *wiring.Stores) error {
				runID, err := resolveRun(cmd.Context(), stores.History, args[0])
				if err != nil {
					return err
				}
				err = a.operator(stores, "runs-restore").Restore(cmd.Context(), runID, clickhouse.Request{By: operatorName(), Reason: reason})
				if err := refusal(runID, err); err != nil {
					return err
				}
				if format == "json" {
					return a.printStoredRun(cmd.Context(), stores, runID)
				}
				fmt.Fprintf(a.stderr, "Run %s is served again.\n", runID)
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", "table", "table or json (the run as it is then)")
	cmd.Flags().StringVar(&reason, "reason", "", "why, for the record")
	return cmd
}

// confirm asks a question unless yes was given. Without an answer nothing is done.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	fmt.Fprintf(a.stderr, "%s [y/N] ", question)
	answer, err := a.readAnswer(ctx)
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, errors.New("interrupted: nothing was done")}
	case answer == "y" || answer == "yes":
		return nil
	case err != nil && answer == "":
		return &exitError{exitRefused, errors.New("nobody answered: nothing was done; give --yes to go on without being asked")}
	}
	return &exitError{exitRefused, errors.New("nothing was done")}
}

// longestAnswer is far more than yes takes; what comes without an end is not read on.
const longestAnswer = 1 << 10

// readAnswer reads a line in a goroutine of its own: reading a terminal does not heed a context, and Ctrl-C must end the
// question. The goroutine stays behind with the process.
func (a *app) readAnswer(ctx context.Context) (string, error) {
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() {
		line, err := bufio.NewReader(io.LimitReader(a.stdin, longestAnswer)).ReadString('\n')
		answers <- answer{line, err}
	}()
	select {
	case got := <-answers:
		return strings.ToLower(strings.TrimSpace(got.line)), got.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// operator acts on runs; name is the command.
func (a *app) operator(stores *wiring.Stores, name string) *wiring.Operator {
	return &wiring.Operator{Stores: stores, Name: name, Logger: a.logger(), Now: a.now}
}

// operatorName is who acts, for the record.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

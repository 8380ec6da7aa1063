package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
	"quantbot/internal/worklist"
)

// gap is a stretch that a run would ask for.
type gap struct {
	Token   candle.Token     `json:"token"`
	Range   candle.Range     `json:"range"`
	Candles int64            `json:"candles"`
	Verdict coverage.Verdict `json:"verdict"`
	// Why is the verdict in words.
	Why string `json:"why"`
	// RolledBack are the runs whose rollbacks hide what was answered.
	RolledBack []uuid.UUID `json:"rolled_back_run_ids"`
}

// gapOptions choose gaps, and how to fetch them.
type gapOptions struct {
	coverageOptions
	// list narrows them; its tokens are those of the coverage options.
	list                     worklistOptions
	run                      string
	fetch, wait, dryRun, yes bool
	maxCalls, maxCredits     int64

	cmd *cobra.Command // whose flags the manifest of the run names
}

func (o *gapOptions) register(f *pflag.FlagSet) {
	o.coverageOptions.register(f)
	f.Lookup("limit").Usage += "; with --fetch all, unless it is given"
	f.StringVar(&o.run, "run", "", "only what this run asked for: its `RUN-ID`; interval, sources, validation and outliers are the run's")
	f.StringVar(&o.list.tokensFile, "tokens", "", "only the tokens of this `FILE`: one a line, or CSV with a header; - for standard input")
	f.StringVar(&o.list.duckdb, "duckdb", "", "only the tokens of the calls in this DuckDB `FILE`; with --from and --to of the calls in between")
	f.StringVar(&o.list.callsQuery, "calls-query", "", "`SQL` over the DuckDB file that gives mint, chain, ts_ms")
	f.StringVar(&o.list.side, "side", worklist.SideBuy, "which calls of the known tables: buy, sell, or empty for all")
	f.StringVar(&o.list.evmChain, "evm-chain", "", "what the chain name evm in canon.alerts_std stands for")
	f.BoolVar(&o.fetch, "fetch", false, "start a run that fetches them, after a question")
	f.BoolVar(&o.dryRun, "dry-run", false, "with --fetch: say what the run would take, and do nothing")
	f.BoolVar(&o.yes, "yes", false, "with --fetch: do not ask")
	f.BoolVar(&o.wait, "wait", false, "with --fetch: wait for the end and show progress")
	f.Int64Var(&o.maxCalls, "max-calls", 0, "with --fetch: refuse a plan that may take more API calls; 0 = any number")
	f.Int64Var(&o.maxCredits, "max-credits", 0, "with --fetch: refuse a plan that may take more credits, and halt the run at so many; 0 = any number")
}

func (o *gapOptions) check(a *app, cmd *cobra.Command, _ []string) error {
	if err := o.checkCombination(cmd.Flags()); err != nil {
		return err
	}
	if o.cmd = cmd; o.fetch && !cmd.Flags().Changed("limit") {
		o.limit = mostTokens // what is not shown is fetched, too
	}
	_, err := o.parse(a.now())
	return err
}

// checkCombination refuses flags that do not go together.
func (o *gapOptions) checkCombination(given *pflag.FlagSet) error {
	for _, name := range []string{"wait", "dry-run", "yes", "max-calls", "max-credits"} {
		if !o.fetch && given.Changed(name) {
			return fmt.Errorf("--%s needs --fetch", name)
		}
	}
	for _, name := range []string{"interval", "source", "validation", "outliers"} {
		if o.run != "" && given.Changed(name) {
			return fmt.Errorf("--run has the --%s of the run: leave the flag out", name)
		}
	}
	list := o.list
	list.tokens = o.tokens
	if err := list.check(); err != nil {
		return err
	}
	switch {
	case o.maxCalls < 0 || o.maxCredits < 0:
		return errors.New("--max-calls and --max-credits must not be negative")
	case o.list.tokensFile == "-" && o.fetch && !o.yes && !o.dryRun:
		return errors.New("--tokens - takes the standard input, which leaves none for the answer: give --yes, or --dry-run")
	}
	return o.list.checkSide()
}

func newGapsCommand(a *app) *cobra.Command {
	return newCommand(a, new(gapOptions), a.runGaps, &cobra.Command{
		Use:   "gaps",
		Short: "List the ranges that are missing and would be asked for now, or fetch them",
		Long: `List the ranges of each token that runs asked for and no answer covers: rolled back, failed, cancelled, or due to be asked again (see
coverage). What lies between the ranges that runs asked for is no gap, unless --from and --to say that it is wanted: then what was
never asked for inside them is one, too.

With --fetch, a run fetches exactly them from the first --source, with the others as its fallbacks; with --run, from those of the
run. It first says what that takes, then asks; without a terminal it wants --yes.`,
		Example: "  quantbot ohlcv gaps\n  quantbot ohlcv gaps --fetch --dry-run\n  quantbot ohlcv gaps --fetch --wait --max-credits 10000\n  quantbot ohlcv gaps --run 0192f0c1 --fetch --yes",
		Args:    cobra.NoArgs,
	})
}

func (a *app) runGaps(ctx context.Context, o *gapOptions) error {
	if o.fetch {
		return a.fetchGaps(o.cmd, *o)
	}
	return a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		found, err := a.findGaps(ctx, cfg, history, o)
		if err != nil {
			return err
		}
		if o.format == "json" {
			return a.printJSON(found.gaps)
		}
		a.printGaps(found.gaps)
		return nil
	})
}

// foundGaps are gaps with the question that found them, and what to ask for to fill them.
type foundGaps struct {
	question coverageQuestion
	gaps     []gap
	refetch  []candle.TokenRanges
}

// findGaps looks for what the options choose; with --run they take what the run says.
func (a *app) findGaps(ctx context.Context, cfg config.Config, history *clickhouse.DB, o *gapOptions) (found foundGaps, err error) {
	found.gaps = []gap{}
	if found.question, err = a.askGaps(ctx, cfg, history, o); err != nil {
		return found, err
	}
	err = a.judge(ctx, history, found.question, func(t tokenVerdicts) error {
		found.refetch = append(found.refetch, candle.TokenRanges{Token: t.Token, Ranges: coverage.Refetch(t.Spans)})
		for _, j := range t.Spans {
			if j.Stale && j.Verdict != coverage.Have {
				found.gaps = append(found.gaps, gap{t.Token, j.Range, j.Candles, j.Verdict, why(j), j.RolledBack})
			}
		}
		return nil
	})
	return found, err
}

// askGaps understands the options.
func (a *app) askGaps(ctx context.Context, cfg config.Config, history *clickhouse.DB, o *gapOptions) (q coverageQuestion, err error) {
	var run backfill.RunRow
	if o.run != "" {
		if run, err = a.runOfGaps(ctx, history, o); err != nil {
			return q, err
		}
	}
	tokens, listed, err := a.gapTokens(ctx, o)
	if err != nil {
		return q, err
	}
	q, err = a.askCoverage(ctx, cfg, history, o.coverageOptions, run.RunID)
	q.NoPublishedFiles = run.NoPublishedFiles
	switch {
	case !listed:
	case q.fixed && o.run == "":
		q.Tokens = tokens
	default: // what nobody asked for is none of this question's
		q.Tokens = inBoth(tokens, q.Tokens)
	}
	return q, err
}

// runOfGaps reads the run that was named, and takes over what it says.
func (a *app) runOfGaps(ctx context.Context, history *clickhouse.DB, o *gapOptions) (backfill.RunRow, error) {
	runID, err := resolveRun(ctx, history, o.run)
	if err != nil {
		return backfill.RunRow{}, err
	}
	run, err := history.RunDetails(ctx, runID)
	if err != nil {
		return run, err
	}
	o.interval, o.validation, o.outliers = run.Interval, run.Validation, run.Outliers
	if o.outliers == "" {
		o.outliers = string(manifest.OutliersKeep)
	}
	if len(o.sources) == 0 {
		o.sources = append([]string{run.Source}, run.Fallbacks...)
	}
	return run, nil
}

// why is the verdict in words, with the runs that are rolled back.
func why(j coverage.VerdictSpan) string {
	words := verdictWords(j.Verdict)
	if len(j.RolledBack) == 0 {
		return words
	}
	const shown = 3
	var runs []string
	for _, run := range j.RolledBack[:min(len(j.RolledBack), shown)] {
		runs = append(runs, run.String())
	}
	more := ""
	if n := len(j.RolledBack) - shown; n > 0 {
		more = fmt.Sprintf(" and %d more", n)
	}
	return fmt.Sprintf("%s (run %s%s)", words, strings.Join(runs, ", "), more)
}

func (a *app) printGaps(gaps []gap) {
	if len(gaps) == 0 {
		fmt.Fprintln(a.stdout, "No gaps.")
		return
	}
	t := a.newTable("token", "from (UTC)", "to", "candles", "why")
	for _, g := range gaps {
		t.AppendRow([]any{g.Token, candle.FormatTime(g.Range.From), candle.FormatTime(g.Range.To), g.Candles, g.Why})
	}
	t.Render()
}

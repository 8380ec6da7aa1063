package cli

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
)

// runDiff is what runs-diff shows.
type runDiff struct {
	A       uuid.UUID           `json:"a"`
	B       uuid.UUID           `json:"b"`
	Tokens  []report.TokenDiff  `json:"tokens"`
	Largest []report.CandleDiff `json:"largest_differences"`
}

// runsDiffOptions are the flags of runs-diff.
type runsDiffOptions struct {
	formatFlag
	runs  []string // two
	limit int
}

func newRunsDiffCommand(a *app) *cobra.Command {
	return newCommand(a, new(runsDiffOptions), a.runRunsDiff, &cobra.Command{
		Use:   "runs-diff RUN-A RUN-B",
		Short: "Compare what two runs stored: shows when a source restated history",
		Long: `Compare what two runs of one interval stored for the same candles: candles only in one of them, the same in both, and different ones with
the largest differences, per token. It compares what was stored, also of runs that are rolled back.`,
		Example: "  quantbot ohlcv runs-diff 0192f0c1 0192f0d7 --limit 10",
		Args:    cobra.ExactArgs(2),
	})
}

func (o *runsDiffOptions) register(flags *pflag.FlagSet) {
	flags.IntVar(&o.limit, "limit", 20, "at most so many tokens and candles")
	o.registerFormat(flags, "")
}

func (o *runsDiffOptions) check(_ *app, _ *cobra.Command, args []string) error {
	o.runs = args
	if err := checkLimit(o.limit, 100_000); err != nil {
		return err
	}
	return o.checkFormat()
}

func (a *app) runRunsDiff(ctx context.Context, o *runsDiffOptions) error {
	return a.withHistory(ctx, func(_ config.Config, history *clickhouse.DB) error {
		d, err := readDiff(ctx, history, o.runs, o.limit)
		if err != nil {
			return err
		}
		return a.printDiff(d, o.format)
	})
}

func readDiff(ctx context.Context, history *clickhouse.DB, args []string, limit int) (d runDiff, err error) {
	var intervals [2]string
	for i, id := range []*uuid.UUID{&d.A, &d.B} {
		if *id, err = resolveRun(ctx, history, args[i]); err != nil {
			return d, err
		}
		run, err := history.RunDetails(ctx, *id)
		if err != nil {
			return d, err
		}
		intervals[i] = run.Interval
	}
	if intervals[0] != intervals[1] {
		return d, usageError("the runs have no candle in common: %s has %s candles, %s has %s candles", args[0], intervals[0], args[1], intervals[1])
	}
	d.Tokens, d.Largest, err = report.New(history).DiffRuns(ctx, d.A, d.B, limit)
	return d, err
}

func (a *app) printDiff(d runDiff, format string) error {
	if format == "json" {
		return a.printJSON(d)
	}
	if len(d.Tokens) == 0 {
		fmt.Fprintln(a.stdout, "The runs have no candles.")
		return nil
	}
	tokens := a.newTable("token", "only in A", "only in B", "same", "different")
	for _, t := range d.Tokens {
		tokens.AppendRow(table.Row{t.Chain + ":" + t.Address, t.OnlyA, t.OnlyB, t.Same, t.Different})
	}
	tokens.Render()
	if len(d.Largest) == 0 {
		return nil
	}
	fmt.Fprintln(a.stdout, "\nLargest differences")
	candles := a.newTable("token", "time (UTC)", "close A", "close B", "change", "volume A", "volume B")
	for _, c := range d.Largest {
		candles.AppendRow(table.Row{c.Chain + ":" + c.Address, formatTime(c.Timestamp), c.CloseA, c.CloseB,
			fmt.Sprintf("%.3g%%", 100*c.CloseChange), c.VolumeA, c.VolumeB})
	}
	candles.Render()
	return nil
}

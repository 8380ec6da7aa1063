package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/export"
)

// printedCandle is a candle as query writes it.
type printedCandle struct {
	Timestamp time.Time `json:"timestamp" parquet:"timestamp,timestamp(millisecond),delta"`
	Open      float64   `json:"open" parquet:"open"`
	High      float64   `json:"high" parquet:"high"`
	Low       float64   `json:"low" parquet:"low"`
	Close     float64   `json:"close" parquet:"close"`
	Volume    float64   `json:"volume" parquet:"volume"`
	VolumeUSD float64   `json:"volume_usd" parquet:"volume_usd"`
}

var printedColumns = []string{"timestamp", "open", "high", "low", "close", "volume", "volume_usd"}

// Record implements export.Row.
func (c printedCandle) Record(record []string) []string {
	return append(record, c.Timestamp.Format(time.RFC3339),
		export.Float(c.Open), export.Float(c.High), export.Float(c.Low), export.Float(c.Close), export.Float(c.Volume), export.Float(c.VolumeUSD))
}

func (c printedCandle) cells() table.Row {
	return table.Row{formatTime(c.Timestamp), c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD}
}

// queryOptions are the flags of query.
type queryOptions struct {
	selectionFlags
	outputFlags
	limit int

	// What the flags mean.
	selection report.Selection
	length    candle.Interval // of the buckets to resample to, or 0
	target    export.Target
}

func newQueryCommand(a *app) *cobra.Command {
	return newCommand(a, new(queryOptions), a.runQuery, &cobra.Command{
		Use:   "query",
		Short: "Print the served candles of one token",
		Long: `Print the served candles of one token, or write them as CSV, JSON or Parquet. How many more could be in the range and are not
confirmed to be empty is said on stderr, by verdict (see coverage); of nothing at all, why.` + resampleHelp,
		Example: "  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from -1d --to now --limit 5\n" +
			"  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from 2025-01-01 --to 2025-01-02 --as-of 2025-02-01\n" +
			"  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from 2025-01-01 --to 2025-02-01 --resample 1h --out sol.csv",
		Args: cobra.NoArgs,
	})
}

func (o *queryOptions) register(flags *pflag.FlagSet) {
	o.selectionFlags.register(flags)
	o.outputFlags.register(flags)
	flags.IntVar(&o.limit, "limit", 0, "at most so many (default 1000 of a table, else all)")
}

func (o *queryOptions) check(a *app, cmd *cobra.Command, _ []string) (err error) {
	if o.selection, o.length, err = o.read(cmd.Context(), a); err != nil {
		return err
	}
	if len(o.selection.Tokens) != 1 {
		return errors.New("name one token: --token ADDRESS")
	}
	if o.target, err = a.parseOutput(o.outputFlags); err != nil {
		return err
	}
	if o.target.Format == "" && !cmd.Flags().Changed("limit") {
		o.limit = shownRows
	} else if o.target.Format == "" || o.limit != 0 {
		return checkLimit(o.limit, maxPrinted)
	}
	return nil
}

func (a *app) runQuery(ctx context.Context, o *queryOptions) error {
	return a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) (err error) {
		if o.selection.AsOf, err = o.moment(ctx, history, a.now()); err != nil {
			return err
		}
		known, err := a.known(ctx, cfg, history, o.selection)
		if err != nil {
			return err
		}
		if err := a.mayOverwrite(ctx, o.target.Path, o.yes); err != nil {
			return err
		}
		query := rowsQuery{history: history, known: known, target: o.target, limit: o.limit}
		if o.length > 0 {
			return momentRefused(a.queryBuckets(ctx, query, o.length))
		}
		return momentRefused(a.query(ctx, query))
	})
}

// rowsQuery is a query that was understood.
type rowsQuery struct {
	history *clickhouse.DB
	known   knownCandles
	// target is where the rows go; its format is empty where a table is printed.
	target export.Target
	limit  int // 0 = all
}

func (a *app) query(ctx context.Context, q rowsQuery) error {
	candles, err := writeOrKeep(a, q, printedColumns, func(write func(printedCandle) error) error {
		return report.New(q.history).Served(ctx, q.known.selection, func(c *report.ServedCandle) error {
			return write(printedCandle{time.Unix(c.OpenTime, 0).UTC(), c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD})
		})
	})
	if err != nil {
		return err
	}
	a.sayLack(q.known, candles.written, q.target.Format == "")
	if q.target.Format == "" {
		printRows(a, candles.kept, q.known, "time (UTC)", "open", "high", "low", "close", "volume", "volume usd")
	}
	return nil
}

// queriedRows are the rows of a query: how many there were and, of a table, themselves.
type queriedRows[T any] struct {
	written int64
	kept    []T
}

// writeOrKeep writes what read gives to the query's target, or keeps it for a table. It says when there is more than the limit: a
// result that was cut must not pass for a whole one.
func writeOrKeep[T export.Row](a *app, q rowsQuery, columns []string, read func(write func(T) error) error) (rows queriedRows[T], err error) {
	limited := func(write func(T) error) error {
		err := read(func(row T) error {
			if q.limit > 0 && rows.written == int64(q.limit) {
				return errEnough
			}
			rows.written++
			return write(row)
		})
		if errors.Is(err, errEnough) {
			fmt.Fprintf(a.stderr, "only the first %d are shown: there are more, see --limit\n", q.limit)
			return nil
		}
		return err
	}
	if q.target.Format == "" {
		err = limited(func(row T) error { rows.kept = append(rows.kept, row); return nil })
		return rows, err
	}
	if _, err = writeRows(a, q.target, columns, limited); err == nil && q.target.Path != export.Standard {
		fmt.Fprintf(a.stderr, "%s: %s\n", q.target.Path, counted(rows.written, "row"))
	}
	return rows, err
}

// printRows prints a table, or why there is none.
func printRows[T interface{ cells() table.Row }](a *app, rows []T, known knownCandles, header ...any) {
	if len(rows) == 0 {
		fmt.Fprintln(a.stdout, known.none())
		return
	}
	t := a.newTable(header...)
	for _, row := range rows {
		t.AppendRow(row.cells())
	}
	t.Render()
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/export"
	"quantbot/internal/worklist"
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

// selectionFlags choose candles, for query and export.
type selectionFlags struct {
	from, to, chain, interval, asOf, resample string
	tokens                                    []string
}

func (o *selectionFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.tokens, "token", nil, "`ADDRESS` or chain:address")
	f.StringVar(&o.chain, "chain", string(candle.Solana), "chain of tokens that name none")
	f.StringVar(&o.from, "from", "", "begin of the range (required)")
	f.StringVar(&o.to, "to", "", "end of the range, exclusive (required)")
	f.StringVar(&o.interval, "interval", "1m", "1s, 15s, 1m, 5m, 15m, 1h, 4h or 1d")
	f.StringVar(&o.resample, "resample", "", "make longer candles of those of --interval: 5m, 15m, 1h, 4h or 1d, on the UTC grid")
	f.StringVar(&o.asOf, "as-of", "", "what was served at this `time`, or when this run ended, of runs that had ended")
}

// parse reads everything but as-of, which may name a run. length is that of the buckets to resample to, or 0.
func (o *selectionFlags) parse(now time.Time) (s clickhouse.Selection, length candle.Interval, err error) {
	if s.Range, err = parseRange(o.from, o.to, now); err != nil {
		return s, 0, err
	}
	chain, err := candle.ParseChain(o.chain)
	if err != nil {
		return s, 0, fmt.Errorf("--chain: %w", err)
	}
	for _, text := range o.tokens {
		token, err := worklist.ParseToken(text, chain)
		if err != nil {
			return s, 0, fmt.Errorf("--token: %w", err)
		}
		if !slices.Contains(s.Tokens, token) {
			s.Tokens = append(s.Tokens, token)
		}
	}
	if s.Interval, err = candle.ParseInterval(o.interval); err != nil {
		return s, 0, fmt.Errorf("--interval: %w", err)
	}
	if o.resample != "" {
		length, err = o.bucketLength(s.Interval)
		s.Range.To = min(s.Range.To, now.Unix()) // what opens later is not missing
	}
	return s, length, err
}

func (o *selectionFlags) bucketLength(interval candle.Interval) (candle.Interval, error) {
	length, err := candle.ParseInterval(o.resample)
	if err != nil {
		return 0, fmt.Errorf("--resample: %w", err)
	}
	if length <= interval || length%interval != 0 {
		return 0, fmt.Errorf("--resample %s must be longer than --interval %s and a multiple of it", length, interval)
	}
	return length, nil
}

// moment understands --as-of: a time, or a run, which stands for its end. Nothing stands for now.
func (o *selectionFlags) moment(ctx context.Context, history *clickhouse.DB, now time.Time) (time.Time, error) {
	if o.asOf == "" {
		return time.Time{}, nil
	}
	if at, err := config.ParseTime(o.asOf, now); err == nil {
		return at, nil
	}
	runID, err := history.ResolveRunID(ctx, o.asOf)
	if err != nil {
		return time.Time{}, &exitError{exitUsage, fmt.Errorf("--as-of %q is neither a time nor a run: %w", o.asOf, err)}
	}
	run, err := history.RunDetails(ctx, runID)
	if err != nil {
		return time.Time{}, err
	}
	if run.CompletedAt == nil {
		return time.Time{}, &exitError{exitRefused, fmt.Errorf("--as-of: run %s has not ended yet", runID)}
	}
	return history.EndMoment(ctx, runID)
}

// momentRefused turns a moment that cannot be read any more into exit code 3.
func momentRefused(err error) error {
	if errors.Is(err, clickhouse.ErrMomentGone) {
		return &exitError{exitRefused, fmt.Errorf("--as-of: %w", clickhouse.ErrMomentGone)}
	}
	return err
}

// queryOptions are the flags of query.
type queryOptions struct {
	selectionFlags
	outputFlags
	limit int
}

// shownRows is how many rows a table has unless told otherwise; formats that programs read have all.
const shownRows = 1_000

// maxPrinted is the most rows that a table holds to print them, some 200 MB.
const maxPrinted = 1_000_000

func (a *app) queryCommand() *cobra.Command {
	var o queryOptions
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Print the served candles of one token",
		Long: `Print the served candles of one token, or write them as CSV, JSON or Parquet. How many more could be in the range and are not
confirmed to be empty is said on stderr, by verdict (see coverage); of nothing at all, why.` + resampleHelp,
		Example: "  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from -1d --to now --limit 5\n" +
			"  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from 2025-01-01 --to 2025-01-02 --as-of 2025-02-01\n" +
			"  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from 2025-01-01 --to 2025-02-01 --resample 1h --out sol.csv",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := o.parse(a.now()); err != nil {
				return err
			}
			a.goByStores(cmd.Context(), o.from, o.to, o.asOf)
			selection, length, err := o.parse(a.now())
			if err != nil {
				return err
			}
			if len(selection.Tokens) != 1 {
				return errors.New("name one token: --token ADDRESS")
			}
			target, err := a.parseOutput(o.outputFlags)
			if err != nil {
				return err
			}
			if target.Format == "" && !cmd.Flags().Changed("limit") {
				o.limit = shownRows
			} else if target.Format == "" || o.limit != 0 {
				err = checkLimit(o.limit, maxPrinted)
			}
			if err != nil {
				return err
			}
			return a.withHistory(cmd.Context(), func(cfg config.Config, history *clickhouse.DB) error {
				if selection.AsOf, err = o.moment(cmd.Context(), history, a.now()); err != nil {
					return err
				}
				known, err := a.known(cmd.Context(), cfg, history, selection)
				if err != nil {
					return err
				}
				if err := a.mayOverwrite(cmd.Context(), target.Path, o.yes); err != nil {
					return err
				}
				query := rowsQuery{history: history, known: known, target: target, limit: o.limit}
				if length > 0 {
					return momentRefused(a.queryBuckets(cmd.Context(), query, length))
				}
				return momentRefused(a.query(cmd.Context(), query))
			})
		},
	}
	o.selectionFlags.register(cmd)
	o.outputFlags.register(cmd)
	cmd.Flags().IntVar(&o.limit, "limit", 0, "at most so many (default 1000 of a table, else all)")
	return cmd
}

// rowsQuery is a query that was understood.
type rowsQuery struct {
	history *clickhouse.DB
	known   knownCandles
	// target is where the rows go; its format is empty where a table is printed.
	target export.Target
	limit  int // 0 = all
}

// errEnough ends a reading that has all it wants.
var errEnough = errors.New("enough")

func (a *app) query(ctx context.Context, q rowsQuery) error {
	candles, err := writeOrKeep(a, q, printedColumns, func(write func(printedCandle) error) error {
		return q.history.Served(ctx, q.known.selection, func(c *clickhouse.ServedCandle) error {
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

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/spf13/cobra"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/worklist"
)

// printedCandle is a candle as query writes it in JSON.
type printedCandle struct {
	Timestamp time.Time `json:"timestamp"`
	Open      float64   `json:"open"`
	High      float64   `json:"high"`
	Low       float64   `json:"low"`
	Close     float64   `json:"close"`
	Volume    float64   `json:"volume"`
	VolumeUSD float64   `json:"volume_usd"`
}

// selectionFlags choose candles, for query and export.
type selectionFlags struct {
	from, to, chain, interval, asOf, resample string
	tokens                                    []string
}

func (o *selectionFlags) register(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringArrayVar(&o.tokens, "token", nil, "`ADDRESS` or chain:address")
	f.StringVar(&o.chain, "chain", string(candle.Solana), "chain of a token that names none")
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
		s.Tokens = append(s.Tokens, token)
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

func (a *app) queryCommand() *cobra.Command {
	var o selectionFlags
	var format string
	var limit int
	cmd := &cobra.Command{
		Use:   "query",
		Short: "Print the served candles of one token",
		Long: `Print the served candles of one token. How many more could be in the range and are not confirmed to be empty is said on stderr, by
verdict (see coverage); of nothing at all, why.` + resampleHelp,
		Example: "  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from -1d --to now --limit 5\n" +
			"  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from 2025-01-01 --to 2025-01-02 --as-of 2025-02-01\n" +
			"  quantbot ohlcv query --token So11111111111111111111111111111111111111112 --from 2025-01-01 --to 2025-02-01 --resample 1h",
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
			if err := checkLimit(limit, maxPrinted); err != nil {
				return fmt.Errorf("%w; ohlcv export writes any number to a file", err)
			}
			if err := checkFormat(format); err != nil {
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
				if length > 0 {
					return momentRefused(a.queryBuckets(cmd.Context(), history, known, length, limit, format))
				}
				return momentRefused(a.query(cmd.Context(), history, known, limit, format))
			})
		},
	}
	o.register(cmd)
	cmd.Flags().IntVar(&limit, "limit", 1_000, "at most so many")
	cmd.Flags().StringVar(&format, "format", "table", "table or json")
	return cmd
}

// maxPrinted is the most candles that query holds to print them, some 200 MB.
const maxPrinted = 1_000_000

// errEnough ends a reading that has all it wants.
var errEnough = errors.New("enough")

func (a *app) query(ctx context.Context, history *clickhouse.DB, known knownCandles, limit int, format string) error {
	candles := []printedCandle{}
	err := history.Served(ctx, known.selection, func(c *clickhouse.ServedCandle) error {
		if len(candles) == limit {
			return errEnough
		}
		candles = append(candles, printedCandle{time.Unix(c.OpenTime, 0).UTC(), c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD})
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	a.noteLimit(err, limit)
	a.sayLack(known, int64(len(candles)), format != "json")
	return a.printCandles(candles, known, format)
}

// noteLimit says that there is more than what is printed: a result that was cut must not pass for a whole one.
func (a *app) noteLimit(err error, limit int) {
	if errors.Is(err, errEnough) {
		fmt.Fprintf(a.stderr, "only the first %d are shown: there are more, see --limit and %s ohlcv export\n", limit, programName())
	}
}

func (a *app) printCandles(candles []printedCandle, known knownCandles, format string) error {
	if format == "json" {
		return a.printJSON(candles)
	}
	if len(candles) == 0 {
		fmt.Fprintln(a.stdout, known.none())
		return nil
	}
	t := a.newTable("time (UTC)", "open", "high", "low", "close", "volume", "volume usd")
	for _, c := range candles {
		t.AppendRow(table.Row{formatTime(c.Timestamp), c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD})
	}
	t.Render()
	return nil
}

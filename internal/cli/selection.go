package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/pflag"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/worklist"
)

// selectionFlags choose candles, for query and export.
type selectionFlags struct {
	from, to, chain, interval, asOf, resample string
	tokens                                    []string
}

func (o *selectionFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&o.tokens, "token", nil, "`ADDRESS` or chain:address")
	f.StringVar(&o.chain, "chain", string(candle.Solana), "chain of tokens that name none")
	f.StringVar(&o.from, "from", "", "begin of the range (required)")
	f.StringVar(&o.to, "to", "", "end of the range, exclusive (required)")
	f.StringVar(&o.interval, "interval", "1m", intervalHelp())
	f.StringVar(&o.resample, "resample", "", "make longer candles of those of --interval: 5m, 15m, 1h, 4h or 1d, on the UTC grid")
	f.StringVar(&o.asOf, "as-of", "", "what was served at this `time`, or when this run ended, of runs that had ended")
}

// read understands the flags but as-of, with relative times by the stores' clock.
func (o *selectionFlags) read(ctx context.Context, a *app) (s report.Selection, length candle.Interval, err error) {
	if s, length, err = o.parse(a.now()); err != nil {
		return s, length, err
	}
	a.goByStores(ctx, o.from, o.to, o.asOf)
	return o.parse(a.now())
}

// parse reads everything but as-of, which may name a run. length is that of the buckets to resample to, or 0.
func (o *selectionFlags) parse(now time.Time) (s report.Selection, length candle.Interval, err error) {
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
	runID, err := report.New(history).ResolveRunID(ctx, o.asOf)
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
	return report.New(history).EndMoment(ctx, runID)
}

// momentRefused turns a moment that cannot be read any more into exit code 3.
func momentRefused(err error) error {
	if errors.Is(err, clickhouse.ErrMomentGone) {
		return &exitError{exitRefused, fmt.Errorf("--as-of: %w", clickhouse.ErrMomentGone)}
	}
	return err
}

const resampleHelp = `

With --resample, candles are put together to longer ones: open of the first, close of the last, highest, lowest, sums of the
volumes. A bucket belongs to the range if it opens inside it. It is complete if every candle of --interval is there or a
source has confirmed that there is none (see coverage); others are marked, and what is missing is never made up. Buckets without
any candle are left out; how many of them are not confirmed to be empty is said at the end.`

package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/pflag"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
	"quantbot/internal/worklist"
)

// coverageOptions choose whose coverage to show.
type coverageOptions struct {
	formatFlag
	from, to, chain, interval, validation, outliers string
	sources, tokens                                 []string
	limit                                           int
}

func (o *coverageOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.from, "from", "", "begin of the range (default: of what was asked for)")
	f.StringVar(&o.to, "to", "", "end of the range, exclusive; goes with --from")
	f.StringArrayVar(&o.tokens, "token", nil, "`ADDRESS` or chain:address; may be repeated (default: all that were asked for)")
	f.StringVar(&o.chain, "chain", "", chainHelp)
	f.StringVar(&o.interval, "interval", "1m", intervalHelp())
	f.StringArrayVar(&o.sources, "source", nil, "whose answers count; may be repeated (default: all that were asked): "+strings.Join(register.Names(), ", "))
	f.StringVar(&o.validation, "validation", string(candle.Lenient), "lenient or strict: answers are kept apart by it")
	f.StringVar(&o.outliers, "outliers", string(manifest.OutliersKeep), "keep or filter: answers are kept apart by it, too")
	f.IntVar(&o.limit, "limit", 1_000, "how many tokens to look at, at most")
	o.registerFormat(f, "")
}

// mostTokens is the most that can be looked at in one command.
const mostTokens = 1_000_000

// tokenVerdicts is what is known of a token.
type tokenVerdicts struct {
	Token candle.Token           `json:"token"`
	Range candle.Range           `json:"range"`
	Spans []coverage.VerdictSpan `json:"-"`
	// Candles counts candles by verdict; Stale those that a run would ask for now.
	Candles map[coverage.Verdict]int64 `json:"candles"`
	Stale   int64                      `json:"due"`
	// Defaulted counts candles that were fetched before runs said what to do with outliers: the source's default of the day held.
	Defaulted int64 `json:"vendor_default"`
}

// coverageQuestion is a coverageOptions that was understood.
type coverageQuestion struct {
	backfill.CoverageQuery
	moment coverage.Moment
	fixed  bool      // the range was given
	run    uuid.UUID // what it asked for alone; zero = what any did
	limit  int
}

// judge is what is known of the token: in the range that was given or, without one, of what was asked for.
func (q coverageQuestion) judge(h coverage.TokenHistory) []coverage.VerdictSpan {
	switch {
	case !q.fixed:
		return h.JudgeRequested(q.run, q.moment)
	case q.run != uuid.Nil:
		return h.JudgeRanges(candle.Intersect(h.RequestedRanges(q.run), []candle.Range{q.Range}), q.moment)
	}
	return h.Judge(q.Range, q.moment)
}

// askCoverage understands the flags at one moment for all that is looked at: by the stores' clock, with the delay of the
// slowest source. A run narrows it to what that run asked for.
func (a *app) askCoverage(ctx context.Context, cfg config.Config, history *clickhouse.DB, o coverageOptions, run uuid.UUID) (coverageQuestion, error) {
	now := a.readTime(ctx, cfg, history)
	q, err := o.parse(now)
	q.run = run
	if err == nil && len(q.Sources) == 0 {
		q.Sources, err = askedSources(ctx, history, q.Interval)
	}
	if err == nil && len(q.Tokens) == 0 {
		q.Tokens, err = report.New(history).RequestedTokens(ctx, q.Interval, q.run)
	}
	q.moment = coverage.Moment{Now: now, SettleDelay: register.SettleDelay(q.Sources)}
	return q, err
}

// askedSources are those that runs asked at the interval; all, where none was.
func askedSources(ctx context.Context, history *clickhouse.DB, interval candle.Interval) ([]string, error) {
	scopes, err := report.New(history).CoverageScopes(ctx)
	for _, scope := range scopes {
		if scope.Interval == interval {
			return scope.Sources, err
		}
	}
	return register.Names(), err
}

// judge calls yield for each token that was asked for and that one of the sources has, in order.
func (a *app) judge(ctx context.Context, history *clickhouse.DB, q coverageQuestion, yield func(tokenVerdicts) error) (err error) {
	q.Tokens = a.served(q)
	if len(q.Tokens) > q.limit {
		fmt.Fprintf(a.stderr, "showing %d of %s (--limit)\n", q.limit, counted(len(q.Tokens), "token"))
		q.Tokens = q.Tokens[:q.limit]
	}
	strangers, defaulted := 0, int64(0)
	err = report.New(history).TokenHistories(ctx, q.CoverageQuery, func(h coverage.TokenHistory) error {
		if !q.fixed && len(h.RequestedRanges(q.run)) == 0 {
			strangers++
			return nil
		}
		token := tokenVerdicts{Token: h.Token, Range: q.Range, Candles: make(map[coverage.Verdict]int64)}
		if !q.fixed {
			token.Range = h.Span()
		}
		token.Spans, token.Defaulted = q.judge(h), h.Defaulted(token.Range)
		defaulted += token.Defaulted
		for _, j := range token.Spans {
			token.Candles[j.Verdict] += j.Candles
			if j.Stale && j.Verdict != coverage.Have {
				token.Stale += j.Candles
			}
		}
		return yield(token)
	})
	if strangers > 0 {
		fmt.Fprintf(a.stderr, "left out: %s for which %s was never asked for %s candles (--source %s)\n",
			counted(strangers, "token"), strings.Join(q.Sources, " or "), q.Interval, strings.Join(register.Names(), ", "))
	}
	if defaulted > 0 {
		fmt.Fprintf(a.stderr, "%s were answered before runs said what to do with outliers: the source's default of the day held, which counts as kept\n", counted(defaulted, "candle"))
	}
	return err
}

// served leaves out the tokens that none of the sources has at the interval: nothing can be missing of them.
func (a *app) served(q coverageQuestion) []candle.Token {
	tokens := slices.Clone(q.Tokens)
	tokens = slices.DeleteFunc(tokens, func(t candle.Token) bool {
		return !slices.ContainsFunc(q.Sources, func(name string) bool { return register.Supports(name, t.Chain, q.Interval) })
	})
	if n := len(q.Tokens) - len(tokens); n > 0 {
		fmt.Fprintf(a.stderr, "left out: %s of which %s has no %s candles\n", counted(n, "token"), strings.Join(q.Sources, " or "), q.Interval)
	}
	return tokens
}

func (o *coverageOptions) parse(now time.Time) (q coverageQuestion, err error) {
	q.Range, q.Sources, q.limit = candle.Range{To: now.Unix()}, o.sources, o.limit
	if q.fixed = o.from != "" || o.to != ""; q.fixed {
		if o.from == "" || o.to == "" {
			return q, errors.New("give both --from and --to, or neither: then it is what was asked for")
		}
		if q.Range, err = parseRange(o.from, o.to, now); err != nil {
			return q, err
		}
	}
	if q.Interval, err = candle.ParseInterval(o.interval); err != nil {
		return q, fmt.Errorf("--interval: %w", err)
	}
	if q.Validation, err = candle.ParseValidation(o.validation); err != nil {
		return q, fmt.Errorf("--validation: %w", err)
	}
	if q.Outliers, err = manifest.ParseOutliers(o.outliers); err != nil {
		return q, fmt.Errorf("--outliers: %w", err)
	}
	q.Filtering = register.OutlierSources()
	chain, err := parseChain(o.chain, o.sources...)
	if err != nil {
		return q, err
	}
	for _, text := range o.tokens {
		token, err := worklist.ParseToken(text, chain)
		if err != nil {
			return q, err
		}
		if !slices.Contains(q.Tokens, token) {
			q.Tokens = append(q.Tokens, token)
		}
	}
	for _, name := range o.sources {
		if !slices.Contains(register.Names(), name) {
			return q, fmt.Errorf("--source %q is none of %s", name, strings.Join(register.Names(), ", "))
		}
	}
	return q, errors.Join(checkLimit(o.limit, mostTokens), o.checkFormat())
}

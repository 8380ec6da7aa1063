package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/source/birdeye"
	"quantbot/internal/wiring"
	"quantbot/internal/worklist"
)

// fetchGaps starts a run like ingestion ohlcv does, with what is missing as its worklist, once it has said what that takes and was
// told to.
func (a *app) fetchGaps(cmd *cobra.Command, o gapOptions) error {
	ctx := cmd.Context()
	var in ingestion
	var source backfill.Source
	err := a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		found, err := a.findGaps(ctx, cfg, history, &o)
		if err != nil {
			return err
		}
		in = a.wantGaps(cfg, o, found)
		if len(in.request.Wanted) == 0 {
			return nil
		}
		if source, err = a.openSources(&in); err != nil {
			return &exitError{exitUsage, err}
		}
		return a.preview(ctx, cfg, history, wantedRun{in, source})
	})
	switch {
	case err != nil:
		return err
	case len(in.request.Wanted) == 0:
		fmt.Fprintln(a.stderr, "no gaps, nothing to fetch")
		if o.format == "json" {
			return a.printJSON([]gap{}) // no run
		}
		return nil
	case o.dryRun:
		return nil
	}
	if err := a.confirmSpending(ctx, o.yes); err != nil {
		return err
	}
	return a.launch(ctx, cmd, wantedRun{in, source})
}

// confirmSpending asks on a terminal. A script whose input is a pipe that stays open would wait for ever, so it must say so before.
func (a *app) confirmSpending(ctx context.Context, yes bool) error {
	if file, ok := a.stdin.(*os.File); ok && !yes && !term.IsTerminal(int(file.Fd())) {
		return &exitError{exitRefused, errors.New("nobody can be asked without a terminal: nothing was started; give --yes to fetch, or --dry-run to look")}
	}
	return a.confirm(ctx, yes, "Fetch them?")
}

// wantGaps is the ingestion that fetches what was found.
func (a *app) wantGaps(cfg config.Config, o gapOptions, found foundGaps) ingestion {
	q := found.question
	source, fallbacks := gapSource(cfg, o.coverageOptions, q, found.refetch)
	in := ingestion{
		options: ingestOptions{
			source: source, fallbacks: fallbacks, window: "range", haltRate: defaultHaltRate, wait: o.wait, dryRun: o.dryRun,
			maxCalls: o.maxCalls, maxCredits: o.maxCredits, outliers: o.outliers, format: o.format,
		},
		priority: manifest.PriorityNormal,
		outliers: q.Outliers,
		request: backfill.Request{
			Source: source, Fallbacks: fallbacks, Interval: q.Interval, Validation: q.Validation, NoPublishedFiles: q.NoPublishedFiles,
			DedupMode: manifest.DedupNone, SourceTier: candle.TierBackfillAPI, Outliers: requested(q.Outliers),
		},
	}
	unasked := 0
	for _, wanted := range found.refetch {
		if len(wanted.Ranges) > 0 && !wiring.Supports(cfg, source, wanted.Token.Chain, q.Interval) {
			unasked++
			continue
		}
		for _, r := range wanted.Ranges {
			if in.rng.Empty() {
				in.rng = r
			}
			in.rng = candle.Range{From: min(in.rng.From, r.From), To: max(in.rng.To, r.To)}
			in.request.Wanted = append(in.request.Wanted, candle.TokenRanges{Token: wanted.Token, Ranges: []candle.Range{r}})
		}
	}
	if unasked > 0 {
		fmt.Fprintf(a.stderr, "not asked for: %s of which %s has no %s candles (--source %s)\n", counted(unasked, "token"), source, q.Interval, strings.Join(wiring.SourceNames(), ", "))
	}
	in.request.Normalize()
	return in
}

// gapSource is the source that gaps are fetched from: the first one that was named, with the others as its fallbacks. Where none
// was, it is the one of those that were asked that has the most of the tokens, of equals the default of ingestion.
func gapSource(cfg config.Config, o coverageOptions, q coverageQuestion, missing []candle.TokenRanges) (source string, fallbacks []string) {
	if len(o.sources) > 0 {
		return o.sources[0], o.sources[1:]
	}
	most := -1
	for _, name := range append([]string{birdeye.Name}, q.Sources...) {
		has := 0
		for _, wanted := range missing {
			if len(wanted.Ranges) > 0 && slices.Contains(q.Sources, name) && wiring.Supports(cfg, name, wanted.Token.Chain, q.Interval) {
				has++
			}
		}
		if has > most {
			source, most = name, has
		}
	}
	return source, nil
}

// gapTokens reads the worklist that narrows the gaps; listed reports whether there is one.
func (a *app) gapTokens(ctx context.Context, o *gapOptions) (tokens []candle.Token, listed bool, err error) {
	if o.duckdb == "" && o.tokenFile == "" {
		return nil, false, nil
	}
	q, err := o.parse(a.now())
	if err != nil {
		return nil, false, &exitError{exitUsage, err}
	}
	in := ingestion{options: ingestOptions{duckdb: o.duckdb, callsQuery: o.callsQuery, side: o.side, tokensFile: o.tokenFile}, rng: q.Range}
	if in.chain, err = parseChain(o.chain, o.sources...); err != nil {
		return nil, false, &exitError{exitUsage, err}
	}
	if o.evm != "" {
		if in.evmChain, err = candle.ParseChain(o.evm); err != nil {
			return nil, false, usageError("--evm-chain: %w", err)
		}
	}
	list, err := a.readWorklist(ctx, in)
	if errors.Is(err, worklist.ErrInput) {
		return nil, false, &exitError{exitUsage, err}
	}
	if err != nil {
		return nil, false, err
	}
	return list.Tokens, true, a.reportSkipped(list, in)
}

// inBoth are the tokens of the list that are among the others; both are in order.
func inBoth(list, others []candle.Token) (both []candle.Token) {
	for _, token := range list {
		if _, found := slices.BinarySearchFunc(others, token, candle.Token.Compare); found {
			both = append(both, token)
		}
	}
	return both
}

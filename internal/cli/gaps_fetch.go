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
	"quantbot/internal/source/register"
)

// fetchGaps starts a run like ingestion ohlcv does, with what is missing as its worklist, once it has said what that takes and was
// asked to.
func (a *app) fetchGaps(cmd *cobra.Command, o gapOptions) error {
	ctx := cmd.Context()
	launch := launchOptions{caps: backfill.Caps{Calls: o.maxCalls, Credits: o.maxCredits}, format: o.format, dryRun: o.dryRun, wait: o.wait}
	var runs []runRequest
	err := a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		found, err := a.findGaps(ctx, cfg, history, &o)
		if err != nil {
			return err
		}
		r := a.wantGaps(o, found)
		if len(r.Wanted) == 0 {
			return nil
		}
		if err := a.openSources(&r); err != nil {
			return &exitError{exitUsage, err}
		}
		r.manifest.CLIArgs = effectiveFlags(cmd, resolvedRange(r.rng, r.Interval, "range"))
		runs = append(runs, r)
		return a.preview(ctx, cfg, history, launch, runs)
	})
	switch {
	case err != nil:
		return err
	case len(runs) == 0:
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
	return a.launch(ctx, launch, runs...)
}

// confirmSpending asks on a terminal. A script whose input is a pipe that stays open would wait for ever, so it must say so before.
func (a *app) confirmSpending(ctx context.Context, yes bool) error {
	if file, ok := a.stdin.(*os.File); ok && !yes && !term.IsTerminal(int(file.Fd())) {
		return &exitError{exitRefused, errors.New("nobody can be asked without a terminal: nothing was started; give --yes to fetch, or --dry-run to look")}
	}
	return a.confirm(ctx, yes, "Fetch them?")
}

// wantGaps is the run that fetches what was found.
func (a *app) wantGaps(o gapOptions, found foundGaps) runRequest {
	q := found.question
	source, fallbacks := gapSource(o.coverageOptions, q, found.refetch)
	r := runRequest{
		PlanRequest: backfill.PlanRequest{Request: backfill.Request{
			Source: source, Fallbacks: fallbacks, Interval: q.Interval, Validation: q.Validation, NoPublishedFiles: q.NoPublishedFiles,
			DedupMode: manifest.DedupNone, SourceTier: candle.TierBackfillAPI, Outliers: requested(q.Outliers),
		}},
		manifest: manifest.Manifest{
			Priority: manifest.PriorityNormal, Outliers: q.Outliers, NoPublishedFiles: q.NoPublishedFiles,
			HaltRejectionRate: defaultHaltRate, MaxCredits: o.maxCredits,
		},
	}
	unasked := 0
	for _, wanted := range found.refetch {
		if len(wanted.Ranges) > 0 && !register.Supports(source, wanted.Token.Chain, q.Interval) {
			unasked++
			continue
		}
		for _, stretch := range wanted.Ranges {
			if r.rng.Empty() {
				r.rng = stretch
			}
			r.rng = candle.Range{From: min(r.rng.From, stretch.From), To: max(r.rng.To, stretch.To)}
			r.Wanted = append(r.Wanted, candle.TokenRanges{Token: wanted.Token, Ranges: []candle.Range{stretch}})
		}
	}
	if unasked > 0 {
		fmt.Fprintf(a.stderr, "not asked for: %s of which %s has no %s candles (--source %s)\n", counted(unasked, "token"), source, q.Interval, strings.Join(register.Names(), ", "))
	}
	r.Normalize()
	return r
}

// gapSource is the source that gaps are fetched from: the first one that was named, with the others as its fallbacks. Where none
// was, it is the one of those that were asked that has the most of the tokens, of equals the default of ingestion.
func gapSource(o coverageOptions, q coverageQuestion, missing []candle.TokenRanges) (source string, fallbacks []string) {
	if len(o.sources) > 0 {
		return o.sources[0], o.sources[1:]
	}
	most := -1
	for _, name := range append([]string{register.DefaultName}, q.Sources...) {
		has := 0
		for _, wanted := range missing {
			if len(wanted.Ranges) > 0 && slices.Contains(q.Sources, name) && register.Supports(name, wanted.Token.Chain, q.Interval) {
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
	if o.list.duckdb == "" && o.list.tokensFile == "" {
		return nil, false, nil
	}
	q, err := o.parse(a.now())
	if err != nil {
		return nil, false, &exitError{exitUsage, err}
	}
	chain, err := parseChain(o.chain, o.sources...)
	if err != nil {
		return nil, false, &exitError{exitUsage, err}
	}
	if _, err := o.list.evm(); err != nil {
		return nil, false, &exitError{exitUsage, err}
	}
	list, err := a.readWorklist(ctx, o.list, q.Range, chain)
	if err != nil {
		return nil, false, err
	}
	return list.Tokens, true, a.reportSkipped(list, false)
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

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/source/birdeye"
	"quantbot/internal/wiring"
)

// gap is a stretch that a run would ask for.
type gap struct {
	Token   candle.Token     `json:"token"`
	Range   candle.Range     `json:"range"`
	Candles int64            `json:"candles"`
	Verdict backfill.Verdict `json:"verdict"`
}

func (a *app) gapsCommand() *cobra.Command {
	var o coverageOptions
	var fetch, wait bool
	cmd := &cobra.Command{
		Use:   "gaps",
		Short: "List the ranges that are missing and would be asked for now, or fetch them",
		Long: `List the ranges of each token that no answer covers: failed, never asked, or due to be asked again (see coverage). With
--fetch, start a run that fetches them from the first --source, with the others as its fallbacks.`,
		Example: "  quantbot ohlcv gaps\n  quantbot ohlcv gaps --fetch --wait",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if wait && !fetch {
				return errors.New("--wait needs --fetch")
			}
			if _, err := o.parse(a.now()); err != nil {
				return err
			}
			var q coverageQuestion
			var refetch []candle.TokenRanges
			gaps := []gap{}
			err := a.withHistory(cmd.Context(), func(cfg config.Config, history *clickhouse.DB) (err error) {
				if q, err = a.askCoverage(cmd.Context(), cfg, history, o); err != nil {
					return err
				}
				return a.judge(cmd.Context(), cfg, history, q, func(t judgedToken) error {
					refetch = append(refetch, candle.TokenRanges{Token: t.Token, Ranges: backfill.Refetch(t.Judged)})
					for _, j := range t.Judged {
						if j.Due && j.Verdict != backfill.Have {
							gaps = append(gaps, gap{t.Token, j.Range, j.Candles, j.Verdict})
						}
					}
					return nil
				})
			})
			switch {
			case err != nil:
				return err
			case fetch:
				return a.fetchGaps(cmd, o, q, refetch, wait)
			case o.format == "json":
				return a.printJSON(gaps)
			}
			a.printGaps(gaps)
			return nil
		},
	}
	o.register(cmd)
	cmd.Flags().BoolVar(&fetch, "fetch", false, "start a run that fetches them")
	cmd.Flags().BoolVar(&wait, "wait", false, "with --fetch: wait for the end and show progress")
	return cmd
}

func (a *app) printGaps(gaps []gap) {
	if len(gaps) == 0 {
		fmt.Fprintln(a.stdout, "No gaps.")
		return
	}
	t := a.newTable("token", "from (UTC)", "to", "candles", "why")
	for _, g := range gaps {
		t.AppendRow([]any{g.Token, candle.FormatTime(g.Range.From), candle.FormatTime(g.Range.To), g.Candles, g.Verdict})
	}
	t.Render()
}

// fetchGaps starts a run like ingestion ohlcv does, with what is missing as its worklist.
func (a *app) fetchGaps(cmd *cobra.Command, o coverageOptions, q coverageQuestion, missing []candle.TokenRanges, wait bool) error {
	cfg, err := config.Load(a.getenv)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	source, fallbacks := gapSource(cfg, o, q, missing)
	in := ingestion{
		options:  ingestOptions{source: source, fallbacks: fallbacks, window: "range", haltRate: defaultHaltRate, wait: wait, outliers: o.outliers, format: o.format},
		priority: manifest.PriorityNormal,
		outliers: q.Outliers,
		request: backfill.Request{
			Source: source, Fallbacks: fallbacks, Interval: q.Interval, Validation: q.Validation,
			DedupMode: manifest.DedupNone, SourceTier: candle.TierBackfillAPI, Outliers: requested(q.Outliers),
		},
	}
	unasked := 0
	for _, wanted := range missing {
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
	if len(in.request.Wanted) == 0 {
		fmt.Fprintln(a.stderr, "no gaps, nothing to fetch")
		if o.format == "json" {
			return a.printJSON(nil) // no run
		}
		return nil
	}
	in.request.Normalize()
	asked, err := a.openSources(&in)
	if err != nil {
		return &exitError{exitUsage, err}
	}
	return a.launch(cmd.Context(), cmd, in, asked)
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

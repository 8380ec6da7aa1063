package cli

import (
	"context"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/coverage"
)

func newCoverageCommand(a *app) *cobra.Command {
	return newCommand(a, new(coverageOptions), a.runCoverage, &cobra.Command{
		Use:   "coverage",
		Short: "Show per token what is there, what the source does not have, and what was never fetched",
		Long: `Show what is known of each token's candles, counted by verdict:

  have             the candle is there
  rolled back      runs that are rolled back alone had it answered; asked for again
  rejected         the source's candle was corrupt (more than 50 in one chunk count as one stretch); asked for again after a day
  failed           the source gave no answer; asked for again
  cancelled        the run was cancelled before the source was asked; asked for again
  unconfirmed      no candle, from a source that never had one of the token; asked for again after a day
  confirmed empty  the source has none there; asked for once more after a week, where it was younger than a week when confirmed
  never asked      no run has asked for it

Where two hold the upper one counts; rolled back, failed and cancelled hold where no other answer does. Without --from and --to the
range of a token reaches from the first to the last moment that runs asked for; what they did not ask for in between is never asked,
and no gap (see gaps).

The bar shows the verdicts over the range: █ have, b rolled back, r rejected, x failed, c cancelled, ? unconfirmed, · confirmed empty,
blank never asked.`,
		Example: "  quantbot ohlcv coverage\n  quantbot ohlcv coverage --from 2025-01-01 --to 2025-02-01 --token So11111111111111111111111111111111111111112 --format json",
		Args:    cobra.NoArgs,
	})
}

func (o *coverageOptions) check(a *app, _ *cobra.Command, _ []string) error {
	_, err := o.parse(a.now())
	return err
}

func (a *app) runCoverage(ctx context.Context, o *coverageOptions) error {
	return a.withHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		q, err := a.askCoverage(ctx, cfg, history, *o, uuid.Nil)
		if err != nil {
			return err
		}
		tokens := []tokenVerdicts{}
		err = a.judge(ctx, history, q, func(t tokenVerdicts) error { tokens = append(tokens, t); return nil })
		if err != nil {
			return err
		}
		if o.format == "json" {
			return a.printJSON(tokens)
		}
		a.printCoverage(tokens)
		return nil
	})
}

func (a *app) printCoverage(tokens []tokenVerdicts) {
	t := a.newTable("token", "from (UTC)", "to", "have", "rolled back", "rejected", "failed", "cancelled", "unconfirmed", "empty", "never asked", "bar")
	t.spare, t.whole = []string{"bar", "empty", "rejected", "unconfirmed", "cancelled", "rolled back", "failed"}, []string{"bar"}
	for _, token := range tokens {
		row := []any{token.Token, formatEdge(token.Range.From), formatEdge(token.Range.To)}
		for _, verdict := range coverage.Verdicts() { // the order of the columns
			row = append(row, token.Candles[verdict])
		}
		t.AppendRow(append(row, bar(token)))
	}
	t.Render()
}

// formatEdge writes where a range begins or ends: a day, or a minute.
func formatEdge(unix int64) string {
	at := time.Unix(unix, 0).UTC()
	if unix%int64(candle.Interval1d) == 0 {
		return at.Format(time.DateOnly)
	}
	return at.Format("2006-01-02 15:04:05")
}

var barSigns = map[coverage.Verdict]rune{
	coverage.Have: '█', coverage.RolledBack: 'b', coverage.RejectedCandle: 'r', coverage.FailedToFetch: 'x', coverage.CancelledChunk: 'c',
	coverage.Unconfirmed: '?', coverage.ConfirmedEmpty: '·', coverage.NeverAsked: ' ',
}

// bar cuts the range into equal parts and shows each part's most frequent verdict.
func bar(t tokenVerdicts) string {
	const width = 40
	if t.Range.Empty() {
		return ""
	}
	signs := make([]rune, width)
	for i := range int64(width) {
		length := t.Range.To - t.Range.From
		part := candle.Range{From: t.Range.From + length*i/width, To: t.Range.From + length*(i+1)/width}
		seconds := make(map[coverage.Verdict]int64)
		for _, j := range t.Spans {
			if r := j.Range.Intersect(part); !r.Empty() {
				seconds[j.Verdict] += r.To - r.From
			}
		}
		most := coverage.NeverAsked
		for _, verdict := range coverage.Verdicts() {
			if seconds[verdict] > seconds[most] {
				most = verdict
			}
		}
		signs[i] = barSigns[most]
	}
	return string(signs)
}

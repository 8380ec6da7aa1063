package cli

import (
	"context"
	"fmt"
	"strings"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/coverage"
	"quantbot/internal/source/register"
)

// knownCandles is what is known of the candles that could be in a selection.
type knownCandles struct {
	selection report.Selection
	verdicts  map[coverage.Verdict]int64
	// otherIntervals are the intervals that have candles in the range; read only where the selected one has none.
	otherIntervals []candle.Interval
	// ahead = nothing of the range had closed.
	ahead bool
}

// known judges the selection by the stores' clock, or as of its moment, as coverage does.
func (a *app) known(ctx context.Context, cfg config.Config, history *clickhouse.DB, s report.Selection) (k knownCandles, err error) {
	sources, err := askedSources(ctx, history, s.Interval)
	if err != nil {
		return k, err
	}
	k.selection = s
	moment := coverage.Moment{Now: a.readTime(ctx, cfg, history), SettleDelay: register.SettleDelay(sources)}
	if k.verdicts, err = report.New(history).Known(ctx, s, moment); err != nil {
		return k, err
	}
	if !s.AsOf.IsZero() {
		moment.Now = s.AsOf
	}
	k.ahead = s.Interval.Ceil(s.Range.From) >= s.Interval.ClosedBefore(moment.SettleDelay, moment.Now)
	if k.verdicts[coverage.Have] == 0 && !k.ahead {
		k.otherIntervals, err = report.New(history).StoredIntervals(ctx, s)
	}
	return k, err
}

// unknown are the candles that are not there and not confirmed to be empty, by verdict.
func (k knownCandles) unknown() (n int64, byVerdict map[coverage.Verdict]int64) {
	byVerdict = make(map[coverage.Verdict]int64)
	for verdict, candles := range k.verdicts {
		if verdict != coverage.Have && verdict != coverage.ConfirmedEmpty && candles > 0 {
			n += candles
			byVerdict[verdict] = candles
		}
	}
	return n, byVerdict
}

// lack is a sentence on what is missing of a selection that has candles, or nothing.
func (k knownCandles) lack() string {
	unknown, byVerdict := k.unknown()
	if unknown == 0 {
		return ""
	}
	whole := int64(0)
	for _, n := range k.verdicts {
		whole += n
	}
	return fmt.Sprintf("%s of %s candles are not there and not confirmed to be empty: %s%s",
		grouped(unknown), grouped(whole), verdictList(byVerdict), gapsHint(k.selection))
}

// none says why a selection has no candles.
func (k knownCandles) none() string {
	if k.ahead && !k.selection.AsOf.IsZero() {
		return "No candles: nothing of the range had closed at the moment of --as-of."
	}
	if k.ahead {
		return "No candles: the range lies in the future, or has just begun."
	}
	var reasons []string
	if list := verdictList(k.verdicts); list != "" {
		reasons = append(reasons, list)
	}
	if len(k.otherIntervals) > 0 {
		var names []string
		for _, interval := range k.otherIntervals {
			names = append(names, interval.String())
		}
		reasons = append(reasons, fmt.Sprintf("this range has candles of %s alone (--interval)", strings.Join(names, ", ")))
	}
	if len(reasons) == 0 {
		return "No candles: no run has asked for this range."
	}
	return "No candles: " + strings.Join(reasons, "; ") + "."
}

// sayLack writes to stderr what is missing; of nothing at all, unless it was said where the candles were to be.
func (a *app) sayLack(k knownCandles, rows int64, said bool) {
	switch lack := k.lack(); {
	case rows == 0 && !said:
		fmt.Fprintln(a.stderr, k.none())
	case rows > 0 && lack != "":
		fmt.Fprintln(a.stderr, lack)
	}
}

// verdictList counts candles by verdict, in words.
func verdictList(verdicts map[coverage.Verdict]int64) string {
	var parts []string
	for _, verdict := range coverage.Verdicts() {
		if n := verdicts[verdict]; n > 0 {
			parts = append(parts, grouped(n)+" "+verdictWords(verdict))
		}
	}
	return strings.Join(parts, ", ")
}

func verdictWords(verdict coverage.Verdict) string {
	return strings.ReplaceAll(string(verdict), "_", " ")
}

// gapsHint names the command that lists what the selection lacks. Nothing lists what it lacked at an earlier moment.
func gapsHint(s report.Selection) string {
	if !s.AsOf.IsZero() {
		return ", as of then"
	}
	hint := fmt.Sprintf("; for the ranges: %s ohlcv gaps --interval %s --from %s --to %s", programName(), s.Interval, candle.FormatTime(s.Range.From), candle.FormatTime(s.Range.To))
	if len(s.Tokens) > 20 { // a line for people
		return hint
	}
	for _, token := range s.Tokens {
		hint += " --token " + token.String()
	}
	return hint
}

// incompleteness is a sentence on what is missing, or nothing.
func incompleteness(r report.Resampling) string {
	var parts []string
	if r.Incomplete > 0 {
		parts = append(parts, fmt.Sprintf("%d of %d buckets are incomplete", r.Incomplete, r.Buckets))
	}
	if r.Unknown > 0 {
		parts = append(parts, fmt.Sprintf("%d buckets have no candle and are not confirmed to be empty", r.Unknown))
	}
	return strings.Join(parts, ", ")
}

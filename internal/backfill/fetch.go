package backfill

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quantbot/internal/candle"
)

// fetchResult is what a source answered.
type fetchResult struct {
	candles []candle.Candle
	// odd says what is wrong with candles whose values are no numbers.
	odd []Oddity
	// files are the published files that were read.
	files []File
	// answeredTo is where the answer ends: nothing is known of what opens there or later.
	answeredTo int64
}

// fetchWithFallbacks asks the run's source and, where that has nothing, its fallbacks in turn. The outcome names the source
// whose response counts. A source that responds without a candle is overruled by a later one that has some; a failure of the
// source is only made good by candles, because the silence of a fallback proves nothing about the source that was asked
// for.
func (f *Filler) fetchWithFallbacks(ctx context.Context, run Run, chunk Chunk, unanswered int, outcome *Outcome) (fetchResult, error) {
	var failure error
	var empty fetchResult // of the run's own source, which has no candle
	var emptyStats Stats
	for i, name := range append([]string{run.Manifest.Source}, run.Manifest.Fallbacks...) {
		got, err := f.fetch(ctx, name, run, chunk, &outcome.Stats)
		switch {
		case err == nil && len(got.candles) > 0:
			outcome.Source = name
			if i > 0 && failure == nil {
				got.answeredTo = min(got.answeredTo, empty.answeredTo) // after that, the run's own source was not asked
			}
			return got, nil
		case i == 0:
			failure, empty, emptyStats = err, got, outcome.Stats
		}
		if err != nil && !shouldFallBack(err, unanswered) {
			return fetchResult{}, err
		}
	}
	// What the fallbacks said does not count, but it was paid for.
	emptyStats.APICalls, emptyStats.Credits = outcome.Stats.APICalls, outcome.Stats.Credits
	outcome.Stats = emptyStats
	return empty, failure
}

// namedOddities bounds how many candles of a chunk are described: when that many are odd, the next is as well.
const namedOddities = 100

// detail says more about a candle that broke the rule.
func (f fetchResult) detail(c candle.Candle, rule candle.Rule) string {
	if rule != candle.RuleNotFinite {
		return ""
	}
	at := slices.IndexFunc(f.odd, func(o Oddity) bool { return o.OpenTime == c.OpenTime })
	if at < 0 {
		return ""
	}
	return f.odd[at].Text
}

// errFlood refuses what a source sends beyond all that a range can hold: it must not fill the memory.
var errFlood = errors.New("it sent more than twice the candles that the range has")

// mostCandles is how many candles may come for a chunk: each twice, and a page of the largest more.
func mostCandles(chunk Chunk) int { return 2*int(chunk.Range.Candles(chunk.Interval)) + answerCandles }

// fetch gathers the closed candles of the chunk from one source. A chunk is a few pages, which bounds the memory. Calls
// and credits add up over the sources; the rest of the stats describes this one.
func (f *Filler) fetch(ctx context.Context, name string, run Run, chunk Chunk, stats *Stats) (fetchResult, error) {
	*stats = Stats{APICalls: stats.APICalls, Credits: stats.Credits}
	defer f.Waits.ask(run.ID(), name)()
	source, err := f.Source(name, &run.Manifest)
	if err == nil {
		err = WithClass(ClassPermanent, source.Supports(chunk.Token.Chain, chunk.Interval))
	}
	if err != nil {
		return fetchResult{}, fmt.Errorf("ask %s for %s: %w", name, chunk.Token, err)
	}
	end, err := f.closed(ctx, chunk, source)
	if err != nil || end == chunk.Range.From {
		return fetchResult{answeredTo: end}, err // nothing is closed: whoever asks now learns nothing
	}
	var candles []candle.Candle
	var odd []Oddity
	var files []File
	most := mostCandles(chunk)
	for page, err := range source.Candles(ctx, chunk.Token, chunk.Interval, chunk.Range) {
		stats.APICalls += page.APICalls
		stats.Credits += page.Credits
		if err == nil && len(candles)+len(page.Candles) > most {
			err = WithClass(ClassUnavailable, errFlood)
		}
		if err != nil {
			return fetchResult{}, fmt.Errorf("fetch %s %s %s from %s: %w", chunk.Token, chunk.Interval, chunk.Range, name, err)
		}
		if !page.At.IsZero() {
			end = min(end, chunk.Interval.ClosedBefore(source.SettleDelay(), page.At))
		}
		files = append(files, page.Files...)
		odd = append(odd, page.Odd[:min(len(page.Odd), namedOddities-len(odd))]...)
		candles = gather(candles, page, candle.Range{From: chunk.Range.From, To: end}, chunk, stats)
	}
	if end <= chunk.Range.From {
		return fetchResult{}, WithClass(ClassUnavailable, fmt.Errorf("fetch %s %s %s from %s: by the clock of the service, nothing of it has closed",
			chunk.Token, chunk.Interval, chunk.Range, name))
	}
	before := len(candles)
	candles = slices.DeleteFunc(candles, func(c candle.Candle) bool { return c.OpenTime >= end }) // a later page named an earlier end
	stats.Dropped += int64(before - len(candles))
	stats.Fetched = int64(len(candles))
	return fetchResult{candles: candles, odd: odd, files: files, answeredTo: end}, nil
}

// closed is where the chunk ends for the source: before what has not closed by the stores' clocks, which are read before
// the source is asked. A plan ends there already; one that an older program made by the clock of its host may not.
func (f *Filler) closed(ctx context.Context, chunk Chunk, source Source) (end int64, err error) {
	settle := source.SettleDelay()
	now, err := f.Clock.Reached(ctx, time.Unix(chunk.Range.To, 0).Add(settle))
	if err != nil {
		return chunk.Range.From, fmt.Errorf("find out what of %s has closed: %w", chunk.Token, err)
	}
	return min(max(chunk.Interval.ClosedBefore(settle, now), chunk.Range.From), chunk.Range.To), nil
}

// gather adds the candles of the page that lie in what is answered.
func gather(candles []candle.Candle, page Page, answered candle.Range, chunk Chunk, stats *Stats) []candle.Candle {
	switch {
	case candles == nil:
		candles = page.Candles[:0] // most chunks are one page, which is filtered in place
	case cap(candles)-len(candles) < len(page.Candles):
		// The chunk is dense: grow for the rest, at once.
		candles = slices.Grow(candles, max(len(page.Candles), int(chunk.Range.Candles(chunk.Interval))-len(candles)))
	}
	for _, c := range page.Candles {
		if answered.Contains(c.OpenTime) {
			candles = append(candles, c)
		} else {
			stats.Dropped++
		}
	}
	return candles
}

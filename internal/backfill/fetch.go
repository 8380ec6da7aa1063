package backfill

import (
	"context"
	"fmt"
	"slices"

	"quantbot/internal/candle"
)

// UnansweredLimit is how often a chunk may get no answer from a source before it is taken elsewhere, or fails.
const UnansweredLimit = 5

// fetchAnywhere asks the run's source and, where that has nothing, its fallbacks in turn. The outcome names the source
// whose answer counts. A source that answers without a candle is overruled by a later one that has some; a failure of the
// source is only made good by candles, because the silence of a fallback proves nothing about the source that was asked
// for.
func (f *Filler) fetchAnywhere(ctx context.Context, run Run, chunk Chunk, unanswered int, outcome *Outcome) ([]candle.Candle, error) {
	var failure error
	var silence Stats // of the run's own source
	for i, name := range append([]string{run.Manifest.Source}, run.Manifest.Fallbacks...) {
		candles, err := f.fetch(ctx, name, run, chunk, &outcome.Stats)
		switch {
		case err == nil && len(candles) > 0:
			outcome.Source = name
			return candles, nil
		case i == 0:
			failure, silence = err, outcome.Stats
		}
		if err != nil && !elsewhere(err, unanswered) {
			return nil, err
		}
	}
	// What the fallbacks said does not count, but it was paid for.
	silence.APICalls, silence.Credits = outcome.Stats.APICalls, outcome.Stats.Credits
	outcome.Stats = silence
	return nil, failure
}

// elsewhere reports whether an error is a reason to ask another source: this one will not answer, or not soon. A chunk
// that got no answer is tried again here first.
func elsewhere(err error, unanswered int) bool {
	switch ClassOf(err) {
	case ClassPermanent, ClassKeyRejected, ClassParked:
		return true
	case ClassUnavailable, ClassUnknown:
		return unanswered+1 >= UnansweredLimit
	}
	return false
}

// fetch gathers the closed candles of the chunk from one source. A chunk is a few pages, which bounds the memory. Calls
// and credits add up over the sources; the rest of the stats describes this one.
func (f *Filler) fetch(ctx context.Context, name string, run Run, chunk Chunk, stats *Stats) ([]candle.Candle, error) {
	*stats = Stats{APICalls: stats.APICalls, Credits: stats.Credits}
	source, err := f.Source(name, &run.Manifest)
	if err == nil {
		err = WithClass(ClassPermanent, source.Supports(chunk.Token.Chain, chunk.Interval))
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", name, chunk.Token, err)
	}
	closed := ClosedBefore(chunk.Interval, source.SettleDelay(), f.Now())
	var candles []candle.Candle
	for page, err := range source.Candles(ctx, chunk.Token, chunk.Interval, chunk.Range) {
		stats.APICalls += page.APICalls
		stats.Credits += page.Credits
		if err != nil {
			return nil, fmt.Errorf("fetch %s %s %s from %s: %w", chunk.Token, chunk.Interval, chunk.Range, name, err)
		}
		switch {
		case candles == nil:
			candles = page.Candles[:0] // most chunks are one page, which is sifted where it is
		case cap(candles)-len(candles) < len(page.Candles):
			// The chunk is dense: room for the rest, at once.
			candles = slices.Grow(candles, max(len(page.Candles), int(chunk.Range.Opens(chunk.Interval))-len(candles)))
		}
		for _, c := range page.Candles {
			if !chunk.Range.Contains(c.OpenTime) || c.OpenTime >= closed {
				stats.Dropped++
				continue
			}
			candles = append(candles, c)
		}
	}
	stats.Fetched = int64(len(candles))
	return candles, nil
}

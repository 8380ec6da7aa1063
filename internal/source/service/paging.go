package service

import (
	"errors"
	"iter"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// errNoProgress: a full page that does not go beyond what was asked would be asked for again for ever.
var errNoProgress = errors.New("a full page without a later candle")

// Ascending yields the pages of a service that answers a window with its first candles: fewer than pageSize prove that
// nothing more is there, else it is asked again behind the last one. ask answers one window.
func Ascending(r candle.Range, interval candle.Interval, pageSize int, ask func(candle.Range) (backfill.Page, error)) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		for !r.Empty() {
			page, err := ask(r)
			if err == nil && len(page.Candles) >= pageSize {
				r.From, err = behind(page.Candles, interval, r)
			} else {
				r.From = r.To
			}
			if !yield(page, err) || err != nil {
				return
			}
		}
	}
}

// behind goes on after the last candle inside the window; candles outside of it must not move the paging.
func behind(candles []candle.Candle, interval candle.Interval, asked candle.Range) (int64, error) {
	last := asked.From - 1
	for _, c := range candles {
		if asked.Contains(c.OpenTime) {
			last = max(last, c.OpenTime)
		}
	}
	if last < asked.From {
		return 0, backfill.WithClass(backfill.ClassUnavailable, errNoProgress)
	}
	return interval.Next(last), nil
}

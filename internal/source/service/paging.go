package service

import (
	"errors"
	"iter"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// errNoProgress: a full page that hardly goes beyond what was asked would be asked for again and again.
var errNoProgress = errors.New("a full page without many candles of the window")

// Ascending yields the pages of a service that returns the first candles of a window: fewer than pageSize prove that
// nothing more is there, else it is asked again after the last one. ask returns one window, oldest first.
func Ascending(r candle.Range, interval candle.Interval, pageSize int, ask func(candle.Range) (backfill.Page, error)) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		for !r.Empty() {
			page, err := ask(r)
			if err == nil && len(page.Candles) >= pageSize {
				r.From, err = next(page.Candles, interval, r, pageSize)
			} else {
				r.From = r.To
			}
			if !yield(page, err) || err != nil {
				return
			}
		}
	}
}

// next goes on after the last candle inside the window; candles outside of it must not move the paging. Of a full page
// at least half have to be candles of the window, each once: the pages of a range are at most twice as many as it takes.
func next(candles []candle.Candle, interval candle.Interval, asked candle.Range, pageSize int) (int64, error) {
	last, count := asked.From-1, 0
	for _, c := range candles {
		if asked.Contains(c.OpenTime) && c.OpenTime > last {
			last, count = c.OpenTime, count+1
		}
	}
	if count == 0 || 2*count < pageSize {
		return 0, backfill.WithClass(backfill.ClassUnavailable, errNoProgress)
	}
	return interval.Next(last), nil
}

package geckoterminal

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// walk goes back in time from the end of a range to its begin. All times are in Unix seconds.
//
// Whether before_timestamp includes the candle that opens then is not documented. A walk is right either way: it asks
// with the oldest open time it saw, leaves out what it saw already, and ends only when a candle that is not younger than
// the begin came, or nothing older. An answer that is not full proves nothing.
type walk struct {
	from   int64
	before int64 // of the next question
	listed int64 // when the pool began to trade; 0 = not known
	kept   int64 // what was before may be forgotten
}

// pagesFor is how many pages a walk may take: ten times what full ones would, because a service may give fewer candles
// than it was asked for, and not as many as there are candles.
func pagesFor(candles int64) int64 { return 10 * (candles/pageSize + 2) }

func (w *walk) complete() bool { return w.before <= w.from }

// errNotOlder: the service did not look back from where it was asked to.
var errNotOlder = errors.New("only candles from after the moment asked for")

// errEndless: at this rate the range would take a request for each few candles.
var errEndless = errors.New("page after page with hardly a candle")

// step takes an answer, newest first, and returns its candles that were not seen yet, oldest first. Errors carry a class.
func (w *walk) step(answer []candle.Candle) ([]candle.Candle, error) {
	older := slices.DeleteFunc(slices.Clone(answer), func(c candle.Candle) bool { return c.OpenTime >= w.before })
	switch {
	case len(older) > 0:
		// The last one by the service's order, not the oldest: a stray old candle must not prove that the rest was returned.
		w.before = older[len(older)-1].OpenTime
		slices.SortStableFunc(older, func(a, b candle.Candle) int { return cmp.Compare(a.OpenTime, b.OpenTime) })
		return older, nil
	case slices.ContainsFunc(answer, func(c candle.Candle) bool { return c.OpenTime > w.before }):
		return nil, backfill.WithClass(backfill.ClassUnavailable, errNotOlder)
	}
	if err := w.forgotten(); err != nil {
		return nil, backfill.WithClass(backfill.ClassPermanent, err)
	}
	w.before = w.from
	return nil, nil
}

// forgotten returns an error when "nothing older" does not prove that nothing was there (R8): the service responds alike where it
// threw candles away. Before the pool began to trade there were none.
func (w *walk) forgotten() error {
	if begin := max(w.from, w.listed); begin >= min(w.before, w.kept) {
		return nil
	}
	return fmt.Errorf("geckoterminal has no candle before %s, which proves nothing because it keeps %d days: ask from %s on",
		candle.FormatTime(w.before), retention/(24*time.Hour), candle.FormatTime(w.kept))
}

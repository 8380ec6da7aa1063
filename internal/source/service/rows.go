package service

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// Rows gathers the candles of an answer in its order. A candle with a value that is no number is kept, with NaN in its
// place, so that it alone is rejected and not all that came with it.
type Rows struct {
	Candles []candle.Candle
	most    int
	flaws   []flaw
	untimed []int // indexes of candles without a time
}

type flaw struct {
	index int
	text  string
}

// rowsSlack lets a service repeat some candles.
const rowsSlack = 16

// NewRows has room for so many candles as a range holds, twice and some more: duplicates are reported, a flood is not. body is
// how long the answer is and each about how many bytes a row takes; a wrong guess costs a copy.
func NewRows(asked int64, body, each int) Rows {
	return Rows{most: 2*int(asked) + rowsSlack, Candles: make([]candle.Candle, 0, min(body/each, int(asked)+1))}
}

var (
	errFlood = errors.New("the answer has more than twice the candles that were asked for")
	// ErrOutsideWindow refuses an answer: some services answer a time that they do not understand with their newest candles, and a
	// mixed-up answer is another question's. Neither proves anything about the window.
	ErrOutsideWindow = errors.New("the answer has candles, and none of the window that was asked for")
)

// Add takes the next candle. odd says what is wrong with a value, which is NaN then; empty = nothing.
func (r *Rows) Add(c candle.Candle, odd string) error {
	if len(r.Candles) >= r.most {
		return errFlood
	}
	if odd != "" {
		r.flaws = append(r.flaws, flaw{len(r.Candles), odd})
	}
	r.Candles = append(r.Candles, c)
	return nil
}

// AddUntimed takes a candle whose time cannot be read.
func (r *Rows) AddUntimed(why string) error {
	r.untimed = append(r.untimed, len(r.Candles))
	nan := math.NaN()
	return r.Add(candle.Candle{OpenTime: -1, Open: nan, High: nan, Low: nan, Close: nan, Volume: nan, VolumeUSD: nan}, why)
}

// Page returns the candles and what is odd about them. A candle without a time has that of the only interval that is free
// between the candles beside it; where that is not one, the answer is refused, because any of them may be what is missing.
func (r *Rows) Page(interval candle.Interval) ([]candle.Candle, []backfill.Oddity, error) {
	for _, index := range r.untimed {
		open, ok := r.between(index, interval)
		if !ok {
			return nil, nil, fmt.Errorf("item %d of the answer: %s", index, r.why(index))
		}
		r.Candles[index].OpenTime = open
	}
	var odd []backfill.Oddity
	for _, f := range r.flaws {
		odd = append(odd, backfill.Oddity{OpenTime: r.Candles[f.index].OpenTime, Text: fmt.Sprintf("item %d of the answer: %s", f.index, f.text)})
	}
	return r.Candles, odd, nil
}

func (r *Rows) why(index int) string {
	at := slices.IndexFunc(r.flaws, func(f flaw) bool { return f.index == index })
	return r.flaws[at].text
}

// between is the open time of the only interval between the neighbours of a candle, in either order.
func (r *Rows) between(index int, interval candle.Interval) (open int64, ok bool) {
	if index == 0 || index+1 >= len(r.Candles) {
		return 0, false
	}
	before, after := r.Candles[index-1].OpenTime, r.Candles[index+1].OpenTime
	from, to := min(before, after), max(before, after)
	return interval.Next(from), from >= 0 && interval.OnGrid(from) && interval.Next(interval.Next(from)) == to
}

// InWindow refuses candles none of which lies in the window; none at all are an answer.
func InWindow(candles []candle.Candle, window candle.Range) error {
	if len(candles) > 0 && !slices.ContainsFunc(candles, func(c candle.Candle) bool { return window.Contains(c.OpenTime) }) {
		return ErrOutsideWindow
	}
	return nil
}

package service

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

func TestAFullPageWithoutProgressEnds(t *testing.T) {
	t.Parallel()
	asked := 0
	strange := func(candle.Range) (backfill.Page, error) {
		asked++
		return backfill.Page{Candles: []candle.Candle{{OpenTime: 60}, {OpenTime: 900_000}}, APICalls: 1}, nil
	}
	var last error
	for page, err := range Ascending(candle.Range{From: 6_000, To: 600_000}, candle.Interval1m, 2, strange) {
		require.EqualValues(t, 1, page.APICalls, "the page counts all the same")
		last = err
	}
	require.ErrorIs(t, last, errNoProgress)
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(last))
	require.Equal(t, 1, asked)
}

// Full pages that repeat one candle would cost a request for each candle of the range, and keep all that came.
func TestPagesOfHardlyAnythingNewEnd(t *testing.T) {
	t.Parallel()
	const size = 100
	asked := 0
	repeating := func(r candle.Range) (backfill.Page, error) {
		asked++
		candles := make([]candle.Candle, size)
		for i := range candles {
			candles[i].OpenTime = r.From + 60*int64(min(i, size/2-2))
		}
		return backfill.Page{Candles: candles}, nil
	}
	var last error
	for _, err := range Ascending(candle.Range{From: 0, To: 6_000_000}, candle.Interval1m, size, repeating) {
		last = err
	}
	require.ErrorIs(t, last, errNoProgress)
	require.Equal(t, 1, asked)
}

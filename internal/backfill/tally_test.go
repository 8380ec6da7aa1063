package backfill

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

func TestTallies(t *testing.T) {
	t.Parallel()
	const day = 86400
	judged := []Judged{
		{Range: candle.Range{From: 0, To: day + 600}, Verdict: Have},
		{Range: candle.Range{From: day + 600, To: 2*day - 120}, Verdict: ConfirmedEmpty},
		{Range: candle.Range{From: 2*day - 120, To: 2*day + 60}, Verdict: NeverAsked, Due: true},
		{Range: candle.Range{From: 2*day + 60, To: 2*day + 120}, Verdict: Have, Due: true},
	}
	tallies := Tallies(judged, candle.Interval1m, candle.Range{From: day / 2, To: 2*day + 180}, day)
	require.Equal(t, []Tally{
		{Range: candle.Range{From: day / 2, To: day}, Candles: map[Verdict]int64{Have: 720}},
		{Range: candle.Range{From: day, To: 2 * day}, Candles: map[Verdict]int64{Have: 10, ConfirmedEmpty: 1428, NeverAsked: 2}, Due: 2},
		{Range: candle.Range{From: 2 * day, To: 2*day + 180}, Candles: map[Verdict]int64{NeverAsked: 1, Have: 1}, Due: 1},
	}, tallies)
	require.EqualValues(t, 1440, tallies[1].Total())
	require.Equal(t, ConfirmedEmpty, tallies[1].Most())
	require.Equal(t, Have, Tally{Candles: map[Verdict]int64{NeverAsked: 3, Have: 3}}.Most(), "of equals the better")
	require.Equal(t, NeverAsked, Tally{}.Most())
	require.Empty(t, Tallies(judged, candle.Interval1m, candle.Range{}, day))
}

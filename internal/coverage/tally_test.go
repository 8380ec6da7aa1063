package coverage_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

func TestTallies(t *testing.T) {
	t.Parallel()
	const day = 86400
	judged := []coverage.Judged{
		{Range: candle.Range{From: 0, To: day + 600}, Verdict: coverage.Have},
		{Range: candle.Range{From: day + 600, To: 2*day - 120}, Verdict: coverage.ConfirmedEmpty},
		{Range: candle.Range{From: 2*day - 120, To: 2*day + 60}, Verdict: coverage.NeverAsked, Due: true},
		{Range: candle.Range{From: 2*day + 60, To: 2*day + 120}, Verdict: coverage.Have, Due: true},
	}
	tallies := coverage.Tallies(judged, candle.Interval1m, candle.Range{From: day / 2, To: 2*day + 180}, day)
	require.Equal(t, []coverage.Tally{
		{Range: candle.Range{From: day / 2, To: day}, Candles: map[coverage.Verdict]int64{coverage.Have: 720}},
		{Range: candle.Range{From: day, To: 2 * day}, Candles: map[coverage.Verdict]int64{coverage.Have: 10, coverage.ConfirmedEmpty: 1428, coverage.NeverAsked: 2}, Due: 2},
		{Range: candle.Range{From: 2 * day, To: 2*day + 180}, Candles: map[coverage.Verdict]int64{coverage.NeverAsked: 1, coverage.Have: 1}, Due: 1},
	}, tallies)
	require.EqualValues(t, 1440, tallies[1].Total())
	require.Equal(t, coverage.ConfirmedEmpty, tallies[1].Most())
	require.Equal(t, coverage.Have, coverage.Tally{Candles: map[coverage.Verdict]int64{coverage.NeverAsked: 3, coverage.Have: 3}}.Most(), "of equals the better")
	require.Equal(t, coverage.NeverAsked, coverage.Tally{}.Most())
	require.Empty(t, coverage.Tallies(judged, candle.Interval1m, candle.Range{}, day))
}

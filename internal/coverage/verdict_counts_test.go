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
	judged := []coverage.VerdictSpan{
		{Range: candle.Range{From: 0, To: day + 600}, Verdict: coverage.Have},
		{Range: candle.Range{From: day + 600, To: 2*day - 120}, Verdict: coverage.ConfirmedEmpty},
		{Range: candle.Range{From: 2*day - 120, To: 2*day + 60}, Verdict: coverage.NeverAsked, Stale: true},
		{Range: candle.Range{From: 2*day + 60, To: 2*day + 120}, Verdict: coverage.Have, Stale: true},
	}
	counts := coverage.CountVerdicts(judged, candle.Interval1m, candle.Range{From: day / 2, To: 2*day + 180}, day)
	require.Equal(t, []coverage.VerdictCounts{
		{Range: candle.Range{From: day / 2, To: day}, Candles: map[coverage.Verdict]int64{coverage.Have: 720}},
		{Range: candle.Range{From: day, To: 2 * day}, Candles: map[coverage.Verdict]int64{coverage.Have: 10, coverage.ConfirmedEmpty: 1428, coverage.NeverAsked: 2}, Stale: 2},
		{Range: candle.Range{From: 2 * day, To: 2*day + 180}, Candles: map[coverage.Verdict]int64{coverage.NeverAsked: 1, coverage.Have: 1}, Stale: 1},
	}, counts)
	require.EqualValues(t, 1440, counts[1].Total())
	require.Equal(t, coverage.ConfirmedEmpty, counts[1].Most())
	require.Equal(t, coverage.Have, coverage.VerdictCounts{Candles: map[coverage.Verdict]int64{coverage.NeverAsked: 3, coverage.Have: 3}}.Most(), "of equals the better")
	require.Equal(t, coverage.NeverAsked, coverage.VerdictCounts{}.Most())
	require.Empty(t, coverage.CountVerdicts(judged, candle.Interval1m, candle.Range{}, day))
}

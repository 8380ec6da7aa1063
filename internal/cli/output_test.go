package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

func TestNumbersForPeople(t *testing.T) {
	t.Parallel()
	for n, want := range map[int64]string{0: "0", 999: "999", 1_000: "1,000", 12_345_678: "12,345,678"} {
		require.Equal(t, want, grouped(n))
	}
	none := knownCandles{verdicts: map[coverage.Verdict]int64{}, otherIntervals: []candle.Interval{candle.Interval5m, candle.Interval1h}}
	require.Equal(t, "No candles: this range has candles of 5m, 1h alone (--interval).", none.none())
	require.Equal(t, "No candles: no run has asked for this range.", knownCandles{}.none())
}

package dashboard

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

func TestBucketsFitTheRange(t *testing.T) {
	t.Parallel()
	names := func(interval candle.Interval, seconds int64) (names []string) {
		for _, b := range bucketsFor(interval, candle.Range{From: 30, To: 30 + seconds}) {
			names = append(names, b.String())
		}
		return names
	}
	require.Equal(t, []string{"5m", "15m", "30m", "1h", "2h", "4h", "12h", "1d", "7d"}, names(candle.Interval1m, 86_400))
	require.Equal(t, []string{"15s", "30s"}, names(candle.Interval15s, 600)[:2], "no shorter than a candle")
	require.Equal(t, []string{"1h", "2h"}, names(candle.Interval1h, 3600)[:2], "only whole candles")
	require.Equal(t, []string{"7d"}, names(candle.Interval1d, 50*365*86_400), "the longest, whatever the range")
}

func TestTallyPartsFillTheCell(t *testing.T) {
	t.Parallel()
	parts := countsParts(coverage.VerdictCounts{Candles: map[coverage.Verdict]int64{coverage.Have: 1437, coverage.RejectedCandle: 1, coverage.FailedToFetch: 2}})
	require.Len(t, parts, 3)
	require.Equal(t, "v-have", parts[0].Class)
	sum := 0.0
	for _, p := range parts {
		require.GreaterOrEqual(t, p.Height, 0.0)
		sum += p.Height
	}
	require.InDelta(t, 100, sum, 0.1)
	require.Zero(t, parts[2].Y)
	require.GreaterOrEqual(t, parts[1].Height, 8.0, "one candle in a thousand is seen")
	require.Empty(t, countsParts(coverage.VerdictCounts{}))
}

func TestPriceTicksAreRound(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		low, high float64
		want      []string
	}{
		"memecoin": {0.00027, 0.000345, []string{"0.00028", "0.00030", "0.00032", "0.00034"}},
		"bitcoin":  {100_300, 100_900, []string{"100400", "100600", "100800"}},
		"quarters": {1, 2.2, []string{"1.00", "1.25", "1.50", "1.75", "2.00"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := scale{low: c.low, high: c.high}
			var texts []string
			for _, tick := range s.priceTicks() {
				texts = append(texts, tick.Text)
			}
			require.Equal(t, c.want, texts)
		})
	}
	s := scale{}
	s.fit([]chartCandle{{Low: 5, High: 5}})
	require.Less(t, s.low, s.high, "a flat price has a scale, too")
	require.NotEmpty(t, s.priceTicks())
}

func TestFormatPrice(t *testing.T) {
	t.Parallel()
	for price, want := range map[float64]string{0: "0", 0.00001234567: "0.000012346", 1.5: "1.5000", 98765.4321: "98765", 1e20: "1e+20", 3e-18: "3e-18"} {
		require.Equal(t, want, formatPrice(price))
	}
}

package backfill

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

// far is after everything that the tests want.
var far = time.Unix(1<<32, 0)

func onePerChunk(_ candle.Interval, r candle.Range) Cost {
	return Cost{Calls: 1, Credits: r.To - r.From}
}

// What is counted before anything is built is what is built, whatever the cut.
func FuzzPlanSize(f *testing.F) {
	f.Add(int64(0), int64(600), int64(30), int64(5_000), uint8(2), int64(3), int64(2_000_000_000))
	f.Add(int64(-100), int64(50), int64(86_399), int64(864_001), uint8(4), int64(24), int64(1_000_000_000))
	f.Add(int64(951_782_400), int64(1_767_225_599), int64(0), int64(0), uint8(8), int64(20_000), int64(1_767_225_600))
	f.Add(int64(0), int64(3*11*86_400), int64(0), int64(0), uint8(3), int64(0), int64(2_000_000_000)) // whole chunks, no rest
	f.Fuzz(func(t *testing.T, from1, to1, from2, to2 int64, which uint8, chunk, now int64) {
		for _, v := range []*int64{&from1, &to1, &from2, &to2, &now} {
			*v %= 1 << 32
		}
		intervals := []candle.Interval{candle.Interval1m, candle.Interval1h, candle.Interval4h, candle.Interval1d}
		interval := intervals[int(which)%len(intervals)]
		// Months to years, so that 130 years stay below 20,000 chunks; or one that is longer than any boundary.
		chunk = (1 + (chunk%40+40)%40) * 86_400 * 11 / interval.Seconds()
		asked := request(interval, candle.Range{From: from1, To: to1}, candle.Range{From: from2, To: to2})
		opts := PlanOptions{Now: time.Unix(now, 0), SettleDelay: 7 * time.Second, Cut: Cut{Candles: chunk, At: Boundary(which / 4 % 3)}}
		cutter, err := newCutter(asked, opts)
		require.NoError(t, err)
		counted, err := cutter.count(t.Context())
		require.NoError(t, err)
		plan, err := NewPlan(t.Context(), asked, opts)
		require.NoError(t, err)
		require.Len(t, plan.Chunks, int(counted))
		size, err := SizePlan(t.Context(), asked, opts, onePerChunk)
		require.NoError(t, err)
		require.Equal(t, PlanSize{
			Chunks: len(plan.Chunks), Tokens: plan.Tokens, Candles: plan.Candles, Range: plan.Range,
			Cost: Cost{Calls: counted, Credits: plan.Candles * interval.Seconds()},
		}, size)
	})
}

// 200 tokens over 56 years of seconds took 4.9 GB before they were found to be too many; a chunk per second would not fit
// into any memory.
func TestTooLargePlansAreRefusedUnbuilt(t *testing.T) {
	t.Parallel()
	whole := candle.Range{From: 0, To: 56 * 365 * 86_400}
	asked := Request{Source: "s", Interval: candle.Interval1s}
	for i := range 200 {
		token := candle.Token{Chain: candle.BinanceSpot, Address: string(rune('A'+i/26)) + string(rune('A'+i%26))}
		asked.Wanted = append(asked.Wanted, candle.TokenRanges{Token: token, Ranges: []candle.Range{whole}})
	}
	for name, test := range map[string]struct {
		cut  Cut
		want int64
	}{
		"pages":  {Pages(5_000), 200 * 88_301},
		"days":   {Cut{Candles: 20_000, At: EveryDay}, 200 * 56 * 365 * 5},
		"single": {Cut{Candles: 1}, 200 * 56 * 365 * 86_400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			opts := PlanOptions{Now: far, Cut: test.cut}
			_, err := NewPlan(t.Context(), asked, opts)
			require.Equal(t, &PlanTooLargeError{Chunks: test.want}, err)
			_, err = SizePlan(t.Context(), asked, opts, onePerChunk)
			require.Equal(t, &PlanTooLargeError{Chunks: test.want}, err)
		})
	}
}

func TestPlanningHeedsItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	asked := request(candle.Interval1m, candle.Range{From: 0, To: 60 * MaxChunks})
	opts := PlanOptions{Now: far, Cut: Cut{Candles: 1}}
	priced := 0
	_, err := SizePlan(ctx, asked, opts, func(candle.Interval, candle.Range) Cost {
		if priced++; priced == 10 {
			cancel()
		}
		return Cost{}
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, priced, 10_000)
	_, err = NewPlan(ctx, asked, opts)
	require.ErrorIs(t, err, context.Canceled)
}

package backfill

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

func chunkOf(candles int64) Chunk {
	return NewChunk(candle.Token{Chain: candle.Solana, Address: "a"}, candle.Interval1m, candle.Range{From: 0, To: 60 * candles})
}

func TestTheMemoryLimiterHoldsManySmallOrFewLargeChunks(t *testing.T) {
	t.Parallel()
	for candles, want := range map[int64]int{20_000: 10, 1_440: 55, 1: 80_000, 1_000_000: 1} {
		synctest.Test(t, func(t *testing.T) {
			limiter := NewMemoryLimiter(24 << 20)
			inside := 0
			for {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour) // passes at once when nobody leaves
				_, err := limiter.acquire(ctx, chunkOf(candles))
				cancel()
				if err != nil {
					break
				}
				inside++
			}
			require.InDelta(t, want, inside, 0.05*float64(want), "chunks of %d", candles)
		})
	}
}

func TestTheMemoryLimiterGoesOnWhenAChunkLeaves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limiter := NewMemoryLimiter(1 << 20)
		leave, err := limiter.acquire(t.Context(), chunkOf(1_000_000))
		require.NoError(t, err)
		time.AfterFunc(time.Minute, leave)
		began := time.Now()
		_, err = limiter.acquire(t.Context(), chunkOf(1))
		require.NoError(t, err)
		require.Equal(t, time.Minute, time.Since(began))
	})
}

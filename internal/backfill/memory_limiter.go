package backfill

import (
	"context"

	"golang.org/x/sync/semaphore"
)

// MemoryLimiter bounds the memory of the chunks that a process fetches and holds until they are stored. Many small chunks fit and
// share an insert; of large ones only a few are fetched at once, however many tasks are running. When the store is slow,
// nothing leaves, and so nothing more is fetched.
type MemoryLimiter struct {
	bytes int64
	free  *semaphore.Weighted
}

// NewMemoryLimiter returns a limiter of so many bytes.
func NewMemoryLimiter(bytes int64) *MemoryLimiter {
	return &MemoryLimiter{bytes: bytes, free: semaphore.NewWeighted(bytes)}
}

const (
	// candleBytes is what a fetched candle takes.
	candleBytes = 56
	// answerBytes is what it takes in a response that is being read, and decoded beside it.
	answerBytes = 250
	// answerCandles is what the largest responses hold.
	answerCandles = 5_000
)

// acquire waits, first come, first served, until there is memory for the chunk; the largest may take all. A nil limiter
// has no limit.
func (r *MemoryLimiter) acquire(ctx context.Context, chunk Chunk) (release func(), err error) {
	if r == nil {
		return func() {}, nil
	}
	candles := chunk.Range.Candles(chunk.Interval)
	bytes := min(candleBytes*candles+answerBytes*min(candles, answerCandles), r.bytes)
	if err := r.free.Acquire(ctx, bytes); err != nil {
		return nil, err
	}
	return func() { r.free.Release(bytes) }, nil
}

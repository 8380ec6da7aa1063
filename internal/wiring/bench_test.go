package wiring_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// BenchmarkCancel ends 100,000 pending chunks; limit: 5 s (design §12).
func BenchmarkCancel(b *testing.B) {
	w := setup(b)
	for b.Loop() {
		b.StopTimer()
		run, chunks := newRun(b, 100_000)
		epoch, err := w.Ledger.Open(b.Context(), run, false)
		require.NoError(b, err)
		require.NoError(b, w.Ledger.StorePlan(b.Context(), run.ID(), epoch, chunks))
		_, err = w.Ledger.Seal(b.Context(), run.ID(), epoch)
		require.NoError(b, err)
		b.StartTimer()
		require.NoError(b, w.Canceller("bench", w.logger, time.Now).Cancel(b.Context(), run.ID()))
	}
}

// BenchmarkFailures writes the rows of 10,000 chunks that fail in 32 slots, as a worker does; limit: 30 s (design §12).
func BenchmarkFailures(b *testing.B) {
	w := setup(b)
	const slots, failures = 32, 10_000
	run, chunks := newRun(b, failures)
	for b.Loop() {
		next := make(chan backfill.Chunk, failures)
		for _, chunk := range chunks {
			next <- chunk
		}
		close(next)
		var working sync.WaitGroup
		for range slots {
			working.Go(func() {
				for chunk := range next {
					outcome := backfill.Outcome{
						ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: backfill.OutcomeFailed, Error: "no such token",
						ErrorClass: backfill.ClassPermanent, StartedAt: time.Now(), EndedAt: time.Now(),
					}
					if err := w.writer.RecordOutcomes(b.Context(), run, []backfill.Outcome{outcome}); err != nil {
						b.Error(err)
					}
				}
			})
		}
		working.Wait()
	}
}

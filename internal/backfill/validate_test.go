package backfill

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

func answerWith(n int) (run Run, chunk Chunk, candles []candle.Candle) {
	run.Manifest.Validation, run.Manifest.SourceTier = candle.Strict, candle.TierBackfillAPI
	candles = make([]candle.Candle, n)
	for i := range candles {
		candles[i] = candle.Candle{OpenTime: int64(i) * 60, Open: 2, High: 3, Low: 1, Close: 2, Volume: 5, VolumeUSD: 10}
	}
	return run, chunkOf(int64(n)), candles
}

// A good answer, which is nearly every one, is validated without a single allocation.
func TestValidateDoesNotAllocate(t *testing.T) {
	run, chunk, candles := answerWith(5_000)
	var write ChunkWrite
	var outcome Outcome
	require.Zero(t, testing.AllocsPerRun(20, func() { validate(fetchResult{candles: candles}, run, chunk, &write, &outcome) }))
	require.Len(t, write.Candles, len(candles))
}

func BenchmarkValidate(b *testing.B) {
	run, chunk, candles := answerWith(20_000)
	disordered := slices.Clone(candles)
	disordered[0], disordered[1] = disordered[1], disordered[0]
	for name, given := range map[string][]candle.Candle{"ascending": candles, "disordered": disordered} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			work := make([]candle.Candle, len(given))
			for b.Loop() {
				copy(work, given)
				var write ChunkWrite
				var outcome Outcome
				validate(fetchResult{candles: work}, run, chunk, &write, &outcome)
			}
			b.ReportMetric(float64(len(given))*float64(b.N)/b.Elapsed().Seconds(), "candles/s")
		})
	}
}

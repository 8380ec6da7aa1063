package clickhouse

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// Whatever the chunks: every candle comes once and in order, beside its own chunk, and no group has too many months.
func TestSplitByMonth(t *testing.T) {
	t.Parallel()
	const limit = 3
	rapid.Check(t, func(t *rapid.T) {
		var writes []backfill.ChunkWrite
		for i := range rapid.IntRange(0, 4).Draw(t, "chunks") {
			days := rapid.SliceOf(rapid.Int64Range(0, 400)).Draw(t, "days")
			w := backfill.ChunkWrite{Chunk: backfill.Chunk{ID: backfill.ChunkID(rune('a' + i))}}
			for _, d := range days {
				w.Candles = append(w.Candles, candle.Candle{OpenTime: d * 86400})
			}
			writes = append(writes, w)
		}
		want, got := byChunk(writes), map[backfill.ChunkID][]int64{}
		for _, group := range splitByMonth(writes, limit) {
			months := map[time.Month]bool{}
			for id, times := range byChunk(group) {
				got[id] = append(got[id], times...)
				for _, unix := range times {
					u := time.Unix(unix, 0).UTC()
					months[time.Month(u.Year()*12)+u.Month()] = true
				}
			}
			if len(months) == 0 || len(months) > limit {
				t.Fatalf("a group has %d months", len(months))
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d chunks arrived of %d", len(got), len(want))
		}
		for id := range want {
			requireSame(t, want[id], got[id])
		}
	})
}

func requireSame(t *rapid.T, want, got []int64) {
	if len(want) != len(got) {
		t.Fatalf("%d candles arrived of %d", len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			t.Fatalf("candle %d is %d, want %d", i, got[i], want[i])
		}
	}
}

func byChunk(writes []backfill.ChunkWrite) map[backfill.ChunkID][]int64 {
	times := map[backfill.ChunkID][]int64{}
	for _, w := range writes {
		for _, c := range w.Candles {
			times[w.Chunk.ID] = append(times[w.Chunk.ID], c.OpenTime)
		}
	}
	return times
}

package clickhouse

import (
	"context"
	"math"
	"testing"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// benchmarkCandles walk like a price does; constant ones would compress away.
func benchmarkCandles(n int) []candle.Candle {
	candles := make([]candle.Candle, n)
	price := 1e-4
	for i := range candles {
		open := price
		price *= 1 + 0.01*math.Sin(float64(i)*1.7)
		candles[i] = candle.Candle{
			OpenTime: day0 + int64(i)*60, Open: open, High: max(open, price) * 1.001, Low: min(open, price) * 0.999, Close: price,
			Volume: 1e6 * math.Abs(math.Sin(float64(i))), VolumeUSD: 100 * math.Abs(math.Sin(float64(i))),
		}
	}
	return candles
}

func reportRate(b *testing.B, rows int) {
	b.Helper()
	b.ReportMetric(float64(rows)*float64(b.N)/b.Elapsed().Seconds(), "rows/s")
}

// BenchmarkWriteChunk writes chunks of the default size, as a worker does: candles, then the outcome.
func BenchmarkWriteChunk(b *testing.B) {
	for name, rows := range map[string]int{"20000": 20_000, "1440": 1440} {
		b.Run(name, func(b *testing.B) {
			db, _ := openMigrated(b)
			w := newWrite(newRun(0), benchmarkCandles(rows))
			for b.Loop() {
				if _, err := db.WriteChunk(context.Background(), w); err != nil {
					b.Fatal(err)
				}
			}
			reportRate(b, rows)
		})
	}
}

// BenchmarkRawInsert is what WriteChunk is measured against: the driver alone, on the same rows, row by row in batches
// of 100,000 and of a chunk's size.
func BenchmarkRawInsert(b *testing.B) {
	for name, rows := range map[string]int{"100000": 100_000, "20000": 20_000} {
		b.Run(name, func(b *testing.B) {
			db, _ := openMigrated(b)
			w := newWrite(newRun(0), benchmarkCandles(rows))
			for b.Loop() {
				if err := rawInsert(db, w); err != nil {
					b.Fatal(err)
				}
			}
			reportRate(b, rows)
		})
	}
}

func rawInsert(db *DB, w backfill.ChunkWrite) error {
	return db.insert(context.Background(), insertCandlesSQL, func(batch chdriver.Batch) error {
		for _, c := range w.Candles {
			err := batch.Append(string(token.Chain), token.Address, uint32(60), time.Unix(c.OpenTime, 0), uint64(1), w.Run.ID(),
				c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD, uint8(1), "birdeye", uint8(2), "1.2.3")
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// BenchmarkBuildBlock is our share of an insert: no server.
func BenchmarkBuildBlock(b *testing.B) {
	writes := []backfill.ChunkWrite{newWrite(newRun(0), benchmarkCandles(20_000))}
	for b.Loop() {
		for _, part := range splitByMonth(writes, maxMonthsPerInsert) {
			block := newCandleBlock(part)
			_ = block.columns()
			block.free()
		}
	}
	reportRate(b, 20_000)
}

func BenchmarkPlanned(b *testing.B) {
	db, _ := openMigrated(b)
	run := newRun(0)
	chunks := make([]backfill.Chunk, 100_000)
	for i := range chunks {
		chunks[i] = newChunk(run, i%10_000)
		chunks[i].ID = backfill.ChunkID(string(chunks[i].ID) + string(rune('a'+i/10_000)))
	}
	for b.Loop() {
		if err := db.Planned(context.Background(), run, chunks); err != nil {
			b.Fatal(err)
		}
	}
	reportRate(b, len(chunks))
}

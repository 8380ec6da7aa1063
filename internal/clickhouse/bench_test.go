package clickhouse

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
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

// BenchmarkBeingFetched looks at a run of 100,000 chunks that nobody has filled yet, as another command does before it plans.
func BenchmarkBeingFetched(b *testing.B) {
	db, _ := openConfig(b, newConfig(b).with(""))
	_, err := db.Migrate(b.Context())
	require.NoError(b, err)
	run := newRun(0)
	var chunks []backfill.Chunk
	var wanted []candle.TokenRanges
	for i := range 1_000 {
		token := candle.Token{Chain: candle.Solana, Address: fmt.Sprint("mint", i)}
		wanted = append(wanted, candle.TokenRanges{Token: token, Ranges: []candle.Range{{From: day0, To: day0 + 100*86400}}})
		for day := range int64(100) {
			chunks = append(chunks, backfill.NewChunk(token, run.Manifest.Interval, candle.Range{From: day0 + day*86400, To: day0 + (day+1)*86400}))
		}
	}
	run.PlannedChunks = len(chunks)
	require.NoError(b, db.Planned(b.Context(), run, chunks))
	require.NoError(b, db.Started(b.Context(), run))
	q := backfill.CoverageQuery{Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: wanted[0].Ranges[0]}
	for b.Loop() {
		runs, err := report.New(db).LiveRuns(b.Context(), q)
		require.NoError(b, err)
		being := backfill.NewBeingFetched(wanted, candle.Interval1m)
		require.NoError(b, report.New(db).FillBeingFetched(b.Context(), q, runs, being))
		rest, left := being.LeaveOut(wanted)
		require.Empty(b, rest)
		require.EqualValues(b, 100_000*1440, left[0].Candles)
	}
	reportRate(b, len(chunks))
}

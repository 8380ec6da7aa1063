package clickhouse

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"quantbot/internal/backfill"
)

// BenchmarkSharedInserts writes the chunks of 16 tasks at once: each by itself, in common inserts, and each by itself with
// the server gathering them (async_insert, waiting for the flush). parts is how many parts of candles and outcome rows
// the server had to write for a hundred chunks.
func BenchmarkSharedInserts(b *testing.B) {
	type write = func(context.Context, backfill.ChunkWrite) (bool, error)
	ways := []struct {
		name string
		open func(*DB) (write, func())
	}{
		{"alone", func(db *DB) (write, func()) { return db.WriteChunk, func() {} }},
		{"shared", func(db *DB) (write, func()) { w := NewWriter(db); return w.WriteChunk, w.Close }},
		{"async_insert", func(db *DB) (write, func()) {
			settings := driver.WithSettings(driver.Settings{"async_insert": 1, "wait_for_async_insert": 1})
			return func(ctx context.Context, w backfill.ChunkWrite) (bool, error) {
				return db.WriteChunk(driver.Context(ctx, settings), w)
			}, func() {}
		}},
	}
	for _, rows := range []int{1_440, 20_000} {
		for _, way := range ways {
			b.Run(fmt.Sprintf("rows=%d/%s", rows, way.name), func(b *testing.B) {
				db, _ := openMigrated(b)
				write, stop := way.open(db)
				defer stop()
				candles, run := benchmarkCandles(rows), newRun(0)
				var next atomic.Int64
				var writing sync.WaitGroup
				b.ResetTimer()
				for range 16 {
					writing.Go(func() {
						for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
							w := tokenWrite(run, i)
							w.Candles = candles
							if recorded, err := write(context.Background(), w); err != nil || !recorded {
								b.Errorf("recorded %v, err %v", recorded, err)
							}
						}
					})
				}
				writing.Wait()
				b.StopTimer()
				reportRate(b, rows)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "chunks/s")
				b.ReportMetric(100*float64(newParts(b, db))/float64(b.N), "parts/100")
			})
		}
	}
}

// newParts counts the parts that inserts have made in the database, merged since or not. The names of parts number them.
func newParts(b *testing.B, db *DB) uint64 {
	b.Helper()
	return scalar[uint64](b, db, "SELECT toUInt64(sum(last)) FROM (SELECT table, partition, max(max_block_number) AS last FROM system.parts WHERE database = currentDatabase() AND table IN ('ohlcv_candle_versions', 'ohlcv_ingestion_tasks') GROUP BY ALL)")
}

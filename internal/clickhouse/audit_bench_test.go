package clickhouse

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/coverage"
)

// auditVersions is how many versions the large benchmarks work on: QUANTBOT_BENCH_VERSIONS, else a tenth of a million.
func auditVersions(b *testing.B) int {
	b.Helper()
	text := os.Getenv("QUANTBOT_BENCH_VERSIONS")
	if text == "" {
		return 100_000
	}
	n, err := strconv.Atoi(text)
	require.NoError(b, err)
	return n
}

// fill stores versions of a run in one month: tokens of 40,000 candles each, made by the server.
func fill(b testing.TB, db *DB, run backfill.Run, versions int) {
	b.Helper()
	require.NoError(b, db.exec(b.Context(), streamTimeout, `INSERT INTO ohlcv_candle_versions
		(chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open, high, low, close, volume, volume_usd, quality_score, source, source_tier, script_version)
		SELECT 'solana', 'token' || toString(intDiv(number, 40000)), 60, toDateTime(1704067200 + 60 * (number % 40000), 'UTC'), {rank:UInt64}, {run:UUID},
			1, 2, 1, rand() % 100, 5, 5, 122, 'birdeye', 2, 'bench' FROM numbers({n:UInt64})`,
		named("rank", Rank(122, run.Manifest.StartedAt)), named("run", run.ID()), named("n", versions)))
	require.NoError(b, db.exec(b.Context(), streamTimeout, `INSERT INTO ohlcv_ingestion_tasks (run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status)
		SELECT {run:UUID}, 1, toString(number), 'solana', 'token' || toString(number), 60, toDateTime(1704067200, 'UTC'), toDateTime(1706745600, 'UTC'), 'success' FROM numbers({tokens:UInt64})`,
		named("run", run.ID()), named("tokens", (versions+39_999)/40_000)))
	run.Manifest.Range.From, run.Manifest.Range.To = 1704067200, 1706745600
	require.NoError(b, db.Finished(b.Context(), backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: time.Now().UTC()}))
}

// watchMemory samples the memory of the server until the returned function is called, which reports the peak.
func watchMemory(b *testing.B, db *DB) (report func()) {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	peak := int64(0)
	var watching sync.WaitGroup
	watching.Go(func() {
		for ctx.Err() == nil {
			var now int64
			if db.conn.QueryRow(ctx, "SELECT value FROM system.metrics WHERE metric = 'MemoryTracking'").Scan(&now) == nil {
				peak = max(peak, now)
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	return func() {
		stop()
		watching.Wait()
		b.ReportMetric(float64(peak)/(1<<20), "peak-MB")
	}
}

// BenchmarkRollback rolls half of the versions back: the preview, then the time until readers see it.
func BenchmarkRollback(b *testing.B) {
	db, _ := openMigrated(b)
	n := auditVersions(b) / 2
	old, bad := newRun(0), newRun(1)
	fill(b, db, old, n)
	fill(b, db, bad, n)
	one := fmt.Sprintf("SELECT ingestion_run_id FROM ohlcv_candles WHERE chain = 'solana' AND token_address = 'token0' AND interval_seconds = 60 AND timestamp = toDateTime(%d, 'UTC')", 1704067200)
	require.Equal(b, bad.ID(), scalar[uuid.UUID](b, db, one))
	defer watchMemory(b, db)()
	for b.Loop() {
		began := time.Now()
		preview, err := db.PreviewRollback(b.Context(), bad.ID())
		require.NoError(b, err)
		require.EqualValues(b, n, preview.Versions)
		b.ReportMetric(time.Since(began).Seconds(), "preview-s")
		began = time.Now()
		require.NoError(b, db.RollBack(b.Context(), bad.ID(), someone, false))
		require.Equal(b, old.ID(), scalar[uuid.UUID](b, db, one))
		b.ReportMetric(1e3*time.Since(began).Seconds(), "visible-ms")
		require.NoError(b, db.Restore(b.Context(), bad.ID(), someone))
	}
}

// BenchmarkSweep removes half of the versions of one month.
func BenchmarkSweep(b *testing.B) {
	n := auditVersions(b) / 2
	for b.Loop() {
		db, _ := openMigrated(b)
		fill(b, db, newRun(0), n)
		fill(b, db, newRun(1), n)
		report := watchMemory(b, db)
		began := time.Now()
		swept, err := db.Sweep(b.Context(), backfill.SweepRequest{})
		require.NoError(b, err)
		require.EqualValues(b, n, swept[0].Redundant)
		b.ReportMetric(float64(2*n)/time.Since(began).Seconds(), "versions/s")
		report()
	}
}

// BenchmarkServedView reads a month of a token's minutes, with three versions of each, merged and in ten parts, and makes
// the same select on a plain table that holds one: x-plain is the ratio of the medians.
func BenchmarkServedView(b *testing.B) {
	for _, parts := range []int{1, 10} {
		b.Run(fmt.Sprintf("parts=%d", parts), func(b *testing.B) {
			db, _ := openMigrated(b)
			mustExec(b, db, "SYSTEM STOP MERGES ohlcv_candle_versions")
			for part := range parts {
				mustFillVersions(b, db, auditVersions(b), part, parts)
			}
			require.EqualValues(b, parts, scalar[uint64](b, db, "SELECT count() FROM system.parts WHERE database = currentDatabase() AND table = 'ohlcv_candle_versions' AND active"))
			mustExec(b, db, "CREATE TABLE plain ENGINE = MergeTree ORDER BY (chain, token_address, interval_seconds, timestamp) AS SELECT * FROM ohlcv_candles")
			mustExec(b, db, "OPTIMIZE TABLE plain FINAL")
			view, plain := make([]float64, 0, 64), make([]float64, 0, 64)
			for b.Loop() {
				view = append(view, readTokenMonth(b, db, "ohlcv_candles"))
				plain = append(plain, readTokenMonth(b, db, "plain"))
			}
			slices.Sort(view)
			slices.Sort(plain)
			b.ReportMetric(1e3*view[len(view)/2], "view-ms")
			b.ReportMetric(1e3*plain[len(plain)/2], "plain-ms")
			b.ReportMetric(view[len(view)/2]/plain[len(plain)/2], "x-plain")
		})
	}
}

// monthOfMinutes is the candles of a token in BenchmarkServedView.
const monthOfMinutes = 44_640

// mustFillVersions inserts a part: of three versions of each candle those of one chunk (of 20,000 candles) in so many.
func mustFillVersions(b *testing.B, db *DB, versions, part, parts int) {
	b.Helper()
	require.NoError(b, db.exec(b.Context(), streamTimeout, `INSERT INTO ohlcv_candle_versions
		(chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open, high, low, close, volume, volume_usd, quality_score, source, source_tier, script_version)
		SELECT 'solana', 'token' || toString(intDiv(candle, {month:UInt32})), 60, toDateTime(1704067200 + 60 * (candle % {month:UInt32}), 'UTC'), version, toUUID('0192f0c1-1111-7111-8111-11111111111' || toString(version)),
			rand() / 1e9, rand() / 1e9, rand() / 1e9, rand() / 1e9, rand() / 1e3, rand() / 1e3, 122, 'birdeye', 2, 'bench'
		FROM (SELECT intDiv(number, 3) AS candle, number % 3 AS version FROM numbers({n:UInt64}) WHERE cityHash64(intDiv(candle, 20000), version) % {parts:UInt64} = {part:UInt64})
		SETTINGS min_insert_block_size_rows = 100000000, min_insert_block_size_bytes = 0, max_insert_threads = 1`,
		named("month", monthOfMinutes), named("n", max(versions, 30*monthOfMinutes)), named("part", part), named("parts", parts)))
}

func readTokenMonth(b *testing.B, db *DB, table string) (seconds float64) {
	b.Helper()
	began, rows := time.Now(), 0
	err := db.Each(b.Context(), queryTimeout, `SELECT timestamp, open, high, low, close, volume FROM `+table+`
		WHERE chain = 'solana' AND token_address = 'token0' AND interval_seconds = 60`, nil, func(chdriver.Rows) error {
		rows++
		return nil
	})
	require.NoError(b, err)
	require.Equal(b, monthOfMinutes, rows)
	return time.Since(began).Seconds()
}

// BenchmarkCoverage subtracts the answers for tokens of ten chunks each, as a plan does; QUANTBOT_BENCH_VERSIONS / 10 tokens.
func BenchmarkCoverage(b *testing.B) {
	db, _ := openMigrated(b)
	run := newRun(0)
	tokens := auditVersions(b) / 10
	fillOutcomes(b, db, run, tokens)
	wanted := make([]candle.TokenRanges, tokens)
	for i := range wanted {
		address := fmt.Sprintf("token%038d", i)
		wanted[i] = candle.TokenRanges{Token: candle.Token{Chain: candle.Solana, Address: address}, Ranges: []candle.Range{{From: 0, To: 12_600_000}}}
	}
	q := backfill.CoverageQuery{Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: candle.Range{From: 0, To: 12_600_000}}
	for b.Loop() {
		coverage := coverage.NewFilter(wanted, candle.Interval1m, time.Now())
		require.NoError(b, report.New(db).FillCoverage(b.Context(), q, coverage))
		missing := coverage.Missing()
		require.Len(b, missing, tokens)
		require.Equal(b, []candle.Range{{From: 12_000_000, To: 12_600_000}}, missing[0].Ranges)
	}
	b.ReportMetric(float64(tokens)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// BenchmarkTokenHistories judges tokens of ten chunks each without a candle, as gaps does; QUANTBOT_BENCH_VERSIONS / 10 tokens.
func BenchmarkTokenHistories(b *testing.B) {
	db, _ := openMigrated(b)
	n := auditVersions(b) / 10
	fillOutcomes(b, db, newRun(0), n)
	tokens := make([]candle.Token, n)
	for i := range tokens {
		tokens[i] = candle.Token{Chain: candle.Solana, Address: fmt.Sprintf("token%038d", i)}
	}
	q := backfill.CoverageQuery{
		Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: candle.Range{From: 0, To: 12_600_000}, Tokens: tokens,
	}
	for b.Loop() {
		require.NoError(b, report.New(db).TokenHistories(b.Context(), q, func(h coverage.TokenHistory) error {
			require.Len(b, h.Judge(q.Range, coverage.Moment{Now: time.Now()}), 2)
			return nil
		}))
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "tokens/s")
}

// fillOutcomes writes the answers of a run for tokens, ten chunks each.
func fillOutcomes(b *testing.B, db *DB, run backfill.Run, tokens int) {
	b.Helper()
	require.NoError(b, db.Started(b.Context(), run))
	require.NoError(b, db.exec(b.Context(), streamTimeout, `INSERT INTO ohlcv_ingestion_tasks
		(run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status, source, candles_fetched, ended_at)
		SELECT {run:UUID}, 1, toString(number), 'solana', 'token' || leftPad(toString(intDiv(number, 10)), 38, '0'), 60,
			toDateTime(1200000 * (number % 10), 'UTC'), toDateTime(1200000 * (number % 10 + 1), 'UTC'), 'success', 'birdeye', 20000, now64(3)
		FROM numbers({n:UInt64})`, named("run", run.ID()), named("n", 10*tokens)))
}

// BenchmarkResample makes hours of everything.
func BenchmarkResample(b *testing.B) {
	db, _ := openMigrated(b)
	candles := auditVersions(b)
	fill(b, db, newRun(0), candles)
	s := report.Selection{Interval: candle.Interval1m, Range: candle.Range{From: 1704067200, To: 1706745600}}
	defer watchMemory(b, db)()
	for b.Loop() {
		result, err := report.New(db).Resampled(b.Context(), s, candle.Interval1h, func(*report.Bucket) error { return nil })
		require.NoError(b, err)
		require.InDelta(b, candles/60, result.Buckets, float64(candles/1000))
	}
	b.ReportMetric(float64(candles)*float64(b.N)/b.Elapsed().Seconds(), "candles/s")
}

package dashboard_test

import (
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// size is how much there is to show. The defaults are small, so that every run of the benchmarks stays short; the sizes
// that the dashboard is made for are QUANTBOT_BENCH_RUNS=10000 QUANTBOT_BENCH_CHUNKS=1000000 QUANTBOT_BENCH_CANDLES=20000000.
type size struct{ runs, chunks, candles int }

func benchSize(t testing.TB) size {
	number := func(name string, missing int) int {
		text := os.Getenv(name)
		if text == "" {
			return missing
		}
		n, err := strconv.Atoi(text)
		require.NoError(t, err, name)
		return n
	}
	return size{number("QUANTBOT_BENCH_RUNS", 200), number("QUANTBOT_BENCH_CHUNKS", 20_000), number("QUANTBOT_BENCH_CANDLES", 200_000)}
}

// benchTokens is how many tokens the runs are about.
const benchTokens = 5_000

// runIDSQL is the id of the nth generated run in SQL: its start, as UUIDv7 has it, and a hash.
const runIDSQL = `toUUID(concat(substring(h, 1, 8), '-', substring(h, 9, 4), '-7', substring(h, 14, 3), '-8', substring(h, 18, 3), '-', substring(h, 21, 12)))`

// runColumns are in the order of the statement below.
const runColumns = `run_id, attempt, phase, recorded_at, started_at, completed_at, status, script_version, git_commit_hash, git_branch, git_dirty,
	cli_args, env_info, input_hash, source_tier, candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, tokens_processed,
	errors_count, error_message, zero_volume_count, dedup_mode, dedup_completed_at, planned_chunks, retried_chunks, cancelled_chunks,
	candles_dropped, api_calls, credits, source, interval_seconds, range_from, range_to, validation, started_by, halt_rejection_rate, fallbacks, max_credits`

// fill generates runs (one of ten failed, one of fifty cancelled; the first has a tenth of all chunks), chunks and candles
// on the server.
func (s size) fill(t testing.TB, w *harness) {
	t.Helper()
	db := w.env.Database
	h := func(n string) string {
		return fmt.Sprintf("concat(leftPad(lower(hex(toUInt64(1700000000000 + %[1]s * 600000))), 12, '0'), substring(lower(hex(MD5(toString(%[1]s)))), 1, 20))", n)
	}
	big := s.chunks / 10
	each := max((s.chunks-big)/max(s.runs-1, 1), 1)
	for _, phase := range []string{"running", "ended"} {
		w.env.ClickHouse(t, fmt.Sprintf(`INSERT INTO %s.ohlcv_run_lifecycle (%s) SELECT %s AS run_id, 1 AS attempt, '%s' AS phase, now64(6) AS recorded_at,
			fromUnixTimestamp64Milli(toInt64(1700000000000 + n * 600000), 'UTC') AS started_at,
			if(phase = 'ended', started_at + toIntervalSecond(90 + n %% 400), NULL) AS completed_at,
			multiIf(phase = 'running', 'running', n %% 10 = 3, 'failed', n %% 50 = 7, 'cancelled', 'completed') AS status, 'v1.4.2' AS script_version,
			lower(hex(SHA1(toString(intDiv(n, 50))))) AS git_commit_hash, 'main' AS git_branch, false AS git_dirty,
			concat('{"--from":"-5d","--duckdb":"calls-', toString(n), '.duckdb","--window":"calls","--interval":"1m","--source":"birdeye"}') AS cli_args,
			'{"BIRDEYE_API_KEY":"***","BIRDEYE_RPS":"50","CLICKHOUSE_HOST":"clickhouse","CLICKHOUSE_PASSWORD":"***","REDIS_URL":"***"}' AS env_info,
			lower(hex(SHA256(toString(n)))) AS input_hash, 2 AS source_tier, if(phase = 'ended', 2000 + n %% 900, 0) AS candles_fetched, candles_fetched AS candles_inserted,
			0 AS candles_rejected, 0 AS candles_deduplicated, if(phase = 'ended', 90, 0) AS tokens_processed, if(status = 'failed', 5, 0) AS errors_count,
			if(status = 'failed', '5 chunks failed: HTTP 521', '') AS error_message, 3 AS zero_volume_count, 'none' AS dedup_mode, NULL AS dedup_completed_at,
			if(n = 0, %d, %d) AS planned_chunks, 0 AS retried_chunks, 0 AS cancelled_chunks, 0 AS candles_dropped, 100 AS api_calls, 6000 AS credits,
			if(n %% 4 = 0, 'geckoterminal', 'birdeye') AS source, 60 AS interval_seconds, toDateTime('2025-01-01 00:00:00', 'UTC') AS range_from,
			toDateTime('2025-01-04 00:00:00', 'UTC') AS range_to, 'lenient' AS validation, concat(['ana', 'ben', 'cho'][n %% 3 + 1], '@desk') AS started_by,
			0 AS halt_rejection_rate, [] AS fallbacks, 0 AS max_credits
			FROM (SELECT number AS n, %s AS h FROM numbers(%d))`, db, runColumns, runIDSQL, phase, big, each, h("number"), s.runs))
	}
	columns := "run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status, candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, zero_volume_count, candles_dropped, api_calls, credits, error_message, error_class, source, executions, worker, script_version, started_at, ended_at"
	w.env.ClickHouse(t, fmt.Sprintf(`INSERT INTO %s.ohlcv_ingestion_tasks (%s) SELECT %s AS run_id, 1, substring(lower(hex(SHA256(toString(c)))), 1, 24), 'solana',
		concat('Token', leftPad(toString(cityHash64(c) %% %d), 39, '1')), 60, toDateTime('2025-01-01 00:00:00', 'UTC'), toDateTime('2025-01-02 00:00:00', 'UTC'),
		if(n %% 10 = 3 AND c %% 18 = 0, 'failed', 'success'), 20, 20, 0, 0, 0, 0, 1, 60,
		if(n %% 10 = 3 AND c %% 18 = 0, concat('fetch solana:T', toString(c), ' 1m from birdeye: HTTP 521: web server is down'), ''), if(n %% 10 = 3 AND c %% 18 = 0, 'unavailable', ''),
		'birdeye', 1 + (c %% 40 = 0), concat('worker-', toString(c %% 8)), 'v1.4.2',
		fromUnixTimestamp64Milli(toInt64(1700000000000 + n * 600000), 'UTC') AS began, began + toIntervalMillisecond(50 + cityHash64(c, 1) %% 3000)
		FROM (SELECT number AS c, if(number < %d, 0, 1 + intDiv(number - %d, %d)) AS n, %s AS h FROM numbers(%d))`,
		db, columns, runIDSQL, benchTokens, big, big, each, h("n"), s.chunks))
	perToken := max(s.candles/benchTokens, 1)
	for first := 0; first < benchTokens; first += benchTokens / 20 {
		w.env.ClickHouse(t, fmt.Sprintf(`INSERT INTO %s.ohlcv_candle_versions (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open, high, low, close, volume, volume_usd, quality_score, source, source_tier, script_version)
			SELECT 'solana', token, 60, toDateTime('2025-01-01 00:00:00', 'UTC') + 60 * minute, 1000 + n, run_id, 1, 2, 0.5, 1.5, 10, 15, 122, 'birdeye', 2, 'v1.4.2'
			FROM (SELECT concat('Token', leftPad(toString(number), 39, '1')) AS token, number %% %d AS n, %s AS h, %s AS run_id FROM numbers(%d, %d)) ARRAY JOIN range(%d) AS minute`,
			db, s.runs, h("n"), runIDSQL, first, benchTokens/20, perToken))
	}
}

// benchPages are measured; {first} is the run with a tenth of all chunks, {last} the newest.
var benchPages = []struct{ name, path string }{
	{"runs", "/"},
	{"runs by status", "/?status=failed"},
	{"runs by token", "/?token={token}"},
	{"runs by search", "/?q=ana"},
	{"runs by input hash", "/?q=5feceb66"},
	{"runs from the middle", "/?after={middle}"},
	{"run", "/runs/{last}"},
	{"run with failures", "/runs/{failed}"},
	{"run of many chunks", "/runs/{first}"},
	{"slowest of many chunks", "/runs/{first}?order=slowest"},
	{"run by prefix", "/runs/{prefix}"},
	{"fleet", "/fleet"},
	{"nothing, for comparison", "/healthz"},
}

// cpuMillis is what ClickHouse and this process have computed so far. On a machine that is busy with other things it says
// more than the clock: with nothing else to do, a page is there sooner than this.
func (w *harness) cpuMillis(t testing.TB) float64 {
	t.Helper()
	text := w.env.ClickHouse(t, "SELECT sum(value) FROM system.events WHERE event IN ('UserTimeMicroseconds', 'SystemTimeMicroseconds')")
	engine, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	require.NoError(t, err)
	var own syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &own))
	return engine/1000 + float64(own.Utime.Nano()+own.Stime.Nano())/1e6
}

// BenchmarkPages measures what a page takes at the server.
func BenchmarkPages(b *testing.B) {
	w := setup(b)
	s := benchSize(b)
	s.fill(b, w)
	one := func(expression, where string) string {
		text := w.env.ClickHouse(b, "SELECT "+expression+" FROM "+w.env.Database+".ohlcv_run_lifecycle WHERE phase = 'ended' "+where+" LIMIT 1")
		return text[:len(text)-1]
	}
	places := map[string]string{
		"{token}": "Token" + strings.Repeat("1", 36) + "242",
		"{first}": one("run_id", "ORDER BY started_at"), "{last}": one("run_id", "ORDER BY started_at DESC"),
		"{failed}": one("run_id", "AND status = 'failed' ORDER BY started_at DESC"), "{prefix}": one("substring(toString(run_id), 1, 13)", "ORDER BY started_at DESC"),
		"{middle}": one("concat(toString(toUnixTimestamp64Milli(started_at)), '_', toString(run_id))", fmt.Sprintf("AND started_at > fromUnixTimestamp64Milli(%d) ORDER BY started_at", 1700000000000+s.runs/2*600000)),
	}
	for _, page := range benchPages {
		path := page.path
		for name, value := range places {
			path = strings.ReplaceAll(path, name, value)
		}
		b.Run(page.name, func(b *testing.B) {
			before := w.cpuMillis(b)
			defer func() { b.ReportMetric((w.cpuMillis(b)-before)/float64(b.N), "cpu-ms/op") }()
			for b.Loop() {
				if a := w.get(b, path); a.StatusCode != http.StatusOK {
					b.Fatal(path, a.StatusCode, a.body)
				}
			}
		})
	}
}

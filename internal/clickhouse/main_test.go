package clickhouse

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
	"quantbot/internal/secret"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// logBuffer collects what a DB logs.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newConfig names a database of the test's own, which does not exist yet.
func newConfig(t testing.TB) Config {
	t.Helper()
	env := localtest.New(t)
	database := env.Database + "_new"
	t.Cleanup(func() { env.ClickHouse(t, "DROP DATABASE IF EXISTS "+database+" SYNC") })
	return configOf(env, database)
}

func configOf(env *localtest.Env, database string) Config {
	return Config{
		Host: env.Host, Port: env.NativePort, Database: database,
		User: env.User, Password: secret.Text(env.Password),
	}
}

// oddProfile is what the profile of a user may say, which is not for us to choose: names, joins, NULLs, times, deletes and sums
// that mean something else, answers that are cut, cached or estimated. It comes with the connection, as a profile does, and so
// below what we ask for ourselves; all tests of this package run under it.
var oddProfile = strings.Join([]string{
	// names, joins, groups, NULLs
	"prefer_column_name_to_alias=1", "enable_positional_arguments=0", "join_use_nulls=1", "join_default_strictness=ANY", "any_join_distinct_right_table_keys=1",
	"join_any_take_last_row=1", "group_by_use_nulls=1", "transform_null_in=1", "aggregate_functions_null_for_empty=1",
	"empty_result_for_aggregation_by_empty_set=1", "data_type_default_nullable=1", "cast_keep_nullable=1", "least_greatest_legacy_null_behavior=1",
	"insert_null_as_default=0", "union_default_mode=DISTINCT", "except_default_mode=DISTINCT", "intersect_default_mode=DISTINCT",
	"enable_named_columns_in_function_tuple=1", "asterisk_include_materialized_columns=1", "asterisk_include_alias_columns=1",
	"use_variant_as_common_type=1", "allow_experimental_analyzer=0",
	// times and text
	"session_timezone=Asia/Tokyo", "enable_extended_results_for_datetime_functions=1", "date_time_overflow_behavior=saturate",
	"date_time_output_format=iso", "date_time_input_format=best_effort_us",
	"formatdatetime_f_prints_single_zero=1", "formatdatetime_parsedatetime_m_is_month_name=0", "output_format_json_quote_64bit_integers=1",
	// answers that are cut, cached, estimated, or have what was deleted
	"final=1", "extremes=1", "limit=1", "offset=1", "count_distinct_implementation=uniqHLL12", "use_query_cache=1",
	"query_cache_nondeterministic_function_handling=save", "query_cache_system_table_handling=save", "apply_deleted_mask=0",
	"timeout_overflow_mode=break", "read_overflow_mode=break", "result_overflow_mode=break", "group_by_overflow_mode=any",
	"short_circuit_function_evaluation=disable",
	// writing
	"async_insert=1", "wait_for_async_insert=0", "optimize_on_insert=0", "mutations_sync=0", "lightweight_deletes_sync=0", "alter_sync=0",
	"network_compression_method=ZSTD", "max_block_size=1000",
}, "&")

func openConfig(t testing.TB, cfg Config) (*DB, *logBuffer) {
	t.Helper()
	if cfg.DSN == "" {
		cfg = cfg.with(oddProfile)
	}
	logs := &logBuffer{}
	db, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(logs, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	return db, logs
}

// migrated is what the migrations leave of an empty database.
var migrated localtest.Template

// openMigrated is a migrated database.
func openMigrated(t testing.TB) (*DB, *logBuffer) {
	t.Helper()
	env := localtest.New(t)
	migrated.Copy(t, env, env.Database, func(template string) {
		db, _ := openConfig(t, configOf(env, template))
		_, err := db.Migrate(t.Context())
		require.NoError(t, err)
	})
	return openConfig(t, configOf(env, env.Database))
}

// mustExec runs a statement of the test's own.
func mustExec(t testing.TB, db *DB, statement string, params ...any) {
	t.Helper()
	require.NoError(t, db.exec(context.Background(), queryTimeout, statement, params...))
}

// scalar reads one value.
func scalar[T any](t testing.TB, db *DB, query string, params ...any) T {
	t.Helper()
	var value T
	require.NoError(t, db.conn.QueryRow(context.Background(), query, params...).Scan(&value), query)
	return value
}

var (
	day0  = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
	token = candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}
)

// newRun is a run of one-minute candles that started after `after` milliseconds.
func newRun(after int) backfill.Run {
	return backfill.Run{
		Manifest: manifest.Manifest{
			RunID:             uuid.Must(uuid.NewV7()),
			StartedAt:         time.Unix(1_750_000_000, 0).UTC().Add(time.Duration(after) * time.Millisecond),
			ScriptVersion:     "1.2.3",
			Source:            "birdeye",
			Interval:          candle.Interval1m,
			Range:             candle.Range{From: day0, To: day0 + 86400},
			Validation:        candle.Lenient,
			DedupMode:         manifest.DedupNone,
			SourceTier:        candle.TierBackfillAPI,
			HaltRejectionRate: 0.25,
			Priority:          manifest.PriorityNormal,
			Services:          map[string]string{},
		},
		Attempt:       1,
		PlannedChunks: 1,
	}
}

func priced(openTime int64, price, volume float64) candle.Candle {
	return candle.Candle{OpenTime: openTime, Open: price, High: price, Low: price, Close: price, Volume: volume}
}

// minutes are n one-minute candles from day0 on.
func minutes(n int, price float64) []candle.Candle {
	candles := make([]candle.Candle, n)
	for i := range candles {
		candles[i] = priced(day0+int64(i)*60, price, 1)
	}
	return candles
}

func newChunk(run backfill.Run, index int) backfill.Chunk {
	from := day0 + int64(index)*86400
	return backfill.NewChunk(token, run.Manifest.Interval, candle.Range{From: from, To: from + 86400})
}

func succeeded(chunk backfill.Chunk, stats backfill.Stats) backfill.Outcome {
	return backfill.Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range,
		Status: backfill.OutcomeSuccess, Stats: stats,
		Source: "birdeye", Executions: 1, Worker: "worker-1", Version: "1.2.3",
		StartedAt: time.Unix(1_750_000_001, 123e6).UTC(), EndedAt: time.Unix(1_750_000_002, 456e6).UTC(),
	}
}

func failed(chunk backfill.Chunk, text string) backfill.Outcome {
	outcome := succeeded(chunk, backfill.Stats{})
	outcome.Status, outcome.Error, outcome.ErrorClass = backfill.OutcomeFailed, text, backfill.ClassUnavailable
	return outcome
}

func newWrite(run backfill.Run, candles []candle.Candle) backfill.ChunkWrite {
	chunk := newChunk(run, 0)
	n := int64(len(candles))
	return backfill.ChunkWrite{
		Run: run, Chunk: chunk, Candles: candles,
		Outcome: succeeded(chunk, backfill.Stats{Fetched: n, Inserted: n}),
	}
}

func mustWrite(t testing.TB, db *DB, w backfill.ChunkWrite) {
	t.Helper()
	recorded, err := db.WriteChunk(context.Background(), w)
	require.NoError(t, err)
	require.True(t, recorded)
}

// served reads what readers are served now.
func served(t testing.TB, db *DB) []candle.Candle {
	t.Helper()
	all, err := readServed(db, token, time.Time{})
	require.NoError(t, err)
	return all
}

// readServed reads what readers were served of the token at a moment; the zero time is now.
func readServed(db *DB, token candle.Token, asOf time.Time) (all []candle.Candle, err error) {
	s := report.Selection{Tokens: []candle.Token{token}, Interval: candle.Interval1m, Range: candle.Range{From: 0, To: 1 << 32}, AsOf: asOf}
	err = report.New(db).Served(context.Background(), s, func(c *report.ServedCandle) error {
		all = append(all, c.Candle)
		return nil
	})
	return all, err
}

// setVisible appends a visibility event.
func setVisible(t testing.TB, db *DB, runID uuid.UUID, sequence int, event string) {
	t.Helper()
	mustExec(t, db, fmt.Sprintf("INSERT INTO ohlcv_run_visibility (run_id, sequence, event) SELECT '%s', %d, '%s'", runID, sequence, event))
}

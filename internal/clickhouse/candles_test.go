package clickhouse

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

func TestWriteChunkStoresEveryField(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	want := []candle.Candle{
		{OpenTime: day0, Open: 1.5, High: 2.5, Low: 0.5, Close: 2, Volume: 10, VolumeUSD: 17.25},
		{OpenTime: day0 + 60, Open: 1e-9, High: 1e-9, Low: 1e-9, Close: 1e-9},
		{OpenTime: day0 + 180, Open: math.MaxFloat64, High: math.MaxFloat64, Low: math.SmallestNonzeroFloat64, Close: 1, Volume: 3},
	}
	w := newWrite(run, want)
	w.Outcome.Source, w.Outcome.Version = "geckoterminal", "1.3.0"
	mustWrite(t, db, w)
	require.Empty(t, cmp.Diff(want, served(t, db)))

	var quality, tier uint8
	var rank uint64
	var runID uuid.UUID
	var source, version string
	var ingested time.Time
	require.NoError(t, db.conn.QueryRow(t.Context(),
		"SELECT quality_score, source_tier, rank, ingestion_run_id, source, script_version, ingested_at FROM ohlcv_candle_versions WHERE timestamp = {t:UInt32}",
		named("t", day0)).Scan(&quality, &tier, &rank, &runID, &source, &version, &ingested))
	require.Equal(t, candle.Quality(want[0], candle.TierBackfillRaw), quality)
	require.Equal(t, uint8(candle.TierBackfillRaw), tier, "a fallback is trusted one step less")
	require.Equal(t, Rank(quality, run.Manifest.StartedAt), rank)
	require.Equal(t, run.ID(), runID)
	require.Equal(t, "geckoterminal", source, "the service that answered, not the one that was asked first")
	require.Equal(t, "1.3.0", version)
	require.NotZero(t, ingested.Unix())
}

// R6: before any merge and after it.
func TestWriteChunkTwiceChangesNothing(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	mustExec(t, db, "SYSTEM STOP MERGES ohlcv_candle_versions")
	w := newWrite(newRun(0), minutes(100, 1))
	w.Rejected = []backfill.Rejection{{Candle: priced(day0, -1, 1), Rule: candle.RuleNegativeValues}}
	mustWrite(t, db, w)
	mustWrite(t, db, w)

	require.Equal(t, uint64(200), scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions"), "both inserts are there")
	require.Equal(t, uint64(100), scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions FINAL"))
	require.Empty(t, cmp.Diff(w.Candles, served(t, db)))
	require.Equal(t, uint64(1), scalar[uint64](t, db, "SELECT count() FROM ohlcv_ingestion_tasks FINAL"))
	require.Equal(t, uint64(1), scalar[uint64](t, db, "SELECT count() FROM ohlcv_rejected_candles FINAL"))

	mustExec(t, db, "SYSTEM START MERGES ohlcv_candle_versions")
	mustExec(t, db, "OPTIMIZE TABLE ohlcv_candle_versions FINAL")
	require.Equal(t, uint64(100), scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions"))
	require.Empty(t, cmp.Diff(w.Candles, served(t, db)))
}

// A server refuses an insert over more than 100 months.
func TestWriteChunkOver150Months(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	run.Manifest.Interval = candle.Interval1d
	span := candle.Range{From: time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC).Unix(), To: time.Date(2022, 7, 1, 0, 0, 0, 0, time.UTC).Unix()}
	w := newWrite(run, nil)
	w.Chunk = backfill.NewChunk(token, run.Manifest.Interval, span)
	for open := span.From; open < span.To; open += 86400 {
		w.Candles = append(w.Candles, priced(open, 1, 1))
	}
	mustWrite(t, db, w)

	var got []candle.Candle
	days := report.Selection{Tokens: []candle.Token{token}, Interval: candle.Interval1d, Range: span}
	require.NoError(t, report.New(db).Served(t.Context(), days, func(c *report.ServedCandle) error {
		got = append(got, c.Candle)
		return nil
	}))
	require.Empty(t, cmp.Diff(w.Candles, got))
	require.Equal(t, uint64(150), scalar[uint64](t, db, "SELECT uniqExact(toYYYYMM(timestamp)) FROM ohlcv_candle_versions"))
}

func TestWriteChunkRefusesTimesThatNoColumnHolds(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	for _, open := range []int64{-60, math.MaxUint32 + 1} {
		_, err := db.WriteChunk(t.Context(), newWrite(newRun(0), []candle.Candle{priced(open, 1, 1)}))
		require.Equal(t, backfill.ClassPermanent, backfill.ClassOf(err), "%v", err)
	}
	require.Empty(t, served(t, db))
}

// R7: whatever part of the audit trail is missing, the candles arrive and the trouble is logged.
func TestWriteChunkWithoutAuditTrail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		table    string
		recorded bool
		warning  string
	}{
		{"ohlcv_ingestion_tasks", false, `missing="outcome row"`},
		{"ohlcv_rejected_candles", true, "missing=quarantine"},
		{"ohlcv_run_lifecycle", true, ""},
		{"ohlcv_run_visibility", true, ""},
		{"ohlcv_maintenance", true, ""},
	} {
		t.Run(test.table, func(t *testing.T) {
			t.Parallel()
			db, logs := openMigrated(t)
			mustExec(t, db, "RENAME TABLE "+test.table+" TO elsewhere")
			run := newRun(0)
			w := newWrite(run, minutes(10, 1))
			w.Rejected = []backfill.Rejection{{Candle: priced(day0, -1, 1), Rule: candle.RuleNegativeValues}}
			recorded, err := db.WriteChunk(t.Context(), w)
			require.NoError(t, err)
			require.Equal(t, test.recorded, recorded)
			require.Contains(t, logs.String(), test.warning)
			if test.warning != "" {
				require.Contains(t, logs.String(), "run_id="+run.ID().String())
				require.Contains(t, logs.String(), "chunk_id="+string(w.Chunk.ID))
			}
			require.Equal(t, uint64(10), scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions"))

			mustExec(t, db, "RENAME TABLE elsewhere TO "+test.table)
			mustWrite(t, db, w)
			require.Len(t, served(t, db), 10)
		})
	}
}

// Candles that are not stored are the chunk's trouble, and worth another try.
func TestWriteChunkWithoutCandleTable(t *testing.T) {
	t.Parallel()
	db, logs := openMigrated(t)
	mustExec(t, db, "RENAME TABLE ohlcv_candle_versions TO elsewhere")
	w := newWrite(newRun(0), minutes(1, 1))
	recorded, err := db.WriteChunk(t.Context(), w)
	require.False(t, recorded)
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))
	require.ErrorContains(t, err, string(w.Chunk.ID))
	require.Empty(t, logs.String())
	require.Zero(t, scalar[uint64](t, db, "SELECT count() FROM ohlcv_ingestion_tasks"), "no success without candles (R8)")
}

func TestWriteChunkWithoutCandles(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	w := newWrite(newRun(0), nil)
	mustWrite(t, db, w)
	_, found, err := db.Success(t.Context(), backfill.Task{RunID: w.Run.ID(), Attempt: 1, ChunkID: w.Chunk.ID})
	require.NoError(t, err)
	require.True(t, found)
}

func TestServedViewReadsByKey(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	// Two months and 8 tokens, so that an index that is not used would read far more.
	mustExec(t, db, `INSERT INTO ohlcv_candle_versions (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id, open)
		SELECT 'solana', concat('token', toString(number % 8)), 60, toDateTime('2024-01-01 00:00:00', 'UTC') + 60 * intDiv(number, 8), 1, generateUUIDv4(1), 1
		FROM numbers(8 * 60 * 24 * 60)`)
	mustExec(t, db, "OPTIMIZE TABLE ohlcv_candle_versions FINAL")

	plan := explain(t, db, `EXPLAIN indexes = 1 SELECT * FROM ohlcv_candles
		WHERE chain = 'solana' AND token_address = 'token7' AND interval_seconds = 60
		AND timestamp >= '2024-02-01 00:00:00' AND timestamp < '2024-02-03 00:00:00'`)
	require.Regexp(t, `(?s)PrimaryKey.*Granules: [12]/`, plan, "a token's two days lie in one or two granules")
	require.Regexp(t, `(?s)Partition.*Parts: 1/1`, plan)
	require.Regexp(t, `(?s)Min-?Max.*Parts: 1/2`, plan, "the other month is not opened")
	require.Contains(t, plan, "Read type: InOrder", "the key's order makes sorting needless")
}

func explain(t *testing.T, db *DB, query string) string {
	t.Helper()
	type line struct {
		Explain string `ch:"explain"`
	}
	lines, err := selectStructs[line](t.Context(), db, query)
	require.NoError(t, err)
	var plan strings.Builder
	for _, l := range lines {
		plan.WriteString(l.Explain + "\n")
	}
	return plan.String()
}

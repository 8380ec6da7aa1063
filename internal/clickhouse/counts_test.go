package clickhouse

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/manifest"
)

// The ledger counts the deduplicated candles of a running run in one. How they split is said where it follows, and else that it is not known.
func TestLiveCountsDoNotSplitWhatIsNotKnown(t *testing.T) {
	t.Parallel()
	none := int64(0)
	for mode, want := range map[manifest.DedupMode][2]*int64{manifest.DedupNone: {&none, new(int64(3))}, manifest.DedupPostBatch: {&none, new(int64(3))}, manifest.DedupInline: {nil, nil}} {
		row := backfill.RunRow{DedupMode: string(mode), CandlesShadowed: &none, CandlesSkipped: &none}
		row.TakeLive(backfill.LedgerState{Progress: backfill.Progress{Fetched: 10, Inserted: 6, Rejected: 1}})
		require.EqualValues(t, 3, row.CandlesDeduplicated)
		require.Equal(t, want, [2]*int64{row.CandlesShadowed, row.CandlesSkipped}, mode)
		row.TakeLive(backfill.LedgerState{Progress: backfill.Progress{Fetched: 10, Inserted: 10}})
		require.Equal(t, [2]*int64{&none, &none}, [2]*int64{row.CandlesShadowed, row.CandlesSkipped}, mode)
	}
}

// What older programs write, before the migration or beside it, says nothing of shadowed and skipped candles. Only what follows
// from the rest is filled in.
func TestRowsOfOlderProgramsDoNotTellDeduplicatedCandlesApart(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	for mode, known := range map[string]bool{"none": true, "inline": false, "post-batch": false} {
		for _, n := range []int64{0, 5} {
			id := uuid.Must(uuid.NewV7())
			mustExec(t, db, `INSERT INTO ohlcv_run_lifecycle (run_id, attempt, phase, started_at, status, candles_fetched, candles_deduplicated, dedup_mode, interval_seconds, cli_args, env_info, validation)
				VALUES ({id:UUID}, 1, 'ended', now64(3), 'completed', {n:Int64}, {n:Int64}, {mode:String}, 60, '{}', '{}', 'lenient')`,
				named("id", id), named("n", n), named("mode", mode))
			row, err := db.RunDetails(t.Context(), id)
			require.NoError(t, err)
			require.Equal(t, known || n == 0, row.CandlesShadowed != nil, "%s, %d", mode, n)
			require.Equal(t, known || n == 0, row.CandlesSkipped != nil, "%s, %d", mode, n)
			require.True(t, row.Stats().Balanced())
			if row.CandlesSkipped != nil {
				require.Equal(t, []int64{0, n}, []int64{*row.CandlesShadowed, *row.CandlesSkipped})
			}
			mustExec(t, db, `INSERT INTO ohlcv_ingestion_tasks (run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status, candles_fetched, candles_deduplicated, ended_at)
				VALUES ({id:UUID}, 1, 'c', 'solana', {id:String}, 60, 0, 60, 'success', {n:Int64}, {n:Int64}, now64(3))`, named("id", id.String()), named("n", n))
			chunks, err := report.New(db).TokenChunks(t.Context(), report.TokenChunksQuery{
				Token: candle.Token{Chain: candle.Solana, Address: id.String()}, Interval: candle.Interval1m, Range: candle.Range{To: 60},
			}, 1)
			require.NoError(t, err)
			require.Equal(t, n == 0, chunks[0].Skipped != nil && chunks[0].Shadowed != nil)
		}
	}
}

package cli

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// Whatever ran before, whether it is settled or not: what a run says that it stored is what is stored of it, and its counts add up.
func TestARunSaysWhatItStored(t *testing.T) {
	t.Parallel()
	for _, window := range []string{"0", "7d"} {
		t.Run("window "+window, func(t *testing.T) {
			t.Parallel()
			h := setup(t, simmarket.Options{})
			h.vars["QUANTBOT_ROLLBACK_WINDOW"] = window
			list := writeTokens(t, simmarket.Tokens(3))
			random := rand.New(rand.NewPCG(14, 2))
			begin := time.Date(2025, 3, 1, 0, 0, 0, 0, time.UTC)
			shadowed, skipped := int64(0), int64(0)
			for i, mode := range []string{"none", "inline", "post-batch", "inline", "none", "post-batch", "inline"} {
				from := begin.Add(time.Duration(random.IntN(12)) * time.Hour)
				to := from.Add(time.Duration(6+random.IntN(12)) * time.Hour)
				run := h.backfill(t, 1+random.Uint64N(2), "--tokens", list, "--dedup-mode", mode, "--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339))
				shadowed, skipped = shadowed+h.requireCounts(t, run, "candles_shadowed"), skipped+h.requireCounts(t, run, "candles_skipped")
				want := h.inShadow(t, run["run_id"])
				if mode == "none" {
					want = 0
					require.EqualValues(t, 0, run["candles_deduplicated"], i)
				}
				require.EqualValues(t, want, run["candles_shadowed"], "%d: %s", i, mode)
			}
			require.Positive(t, shadowed)
			require.Equal(t, window == "0", skipped > 0, "only what settled runs serve is skipped")
		})
	}
}

// inShadow counts the stored candles of the latest run that rank behind what others have, or are the same.
func (h *harness) inShadow(t *testing.T, run any) int64 {
	t.Helper()
	return h.number(t, fmt.Sprintf(`SELECT count() FROM %[1]s AS own FINAL WHERE ingestion_run_id = '%[2]s' AND (token_address, timestamp) IN (
		SELECT token_address, timestamp FROM %[1]s AS best FINAL GROUP BY token_address, timestamp
		HAVING argMin(ingestion_run_id, rank) != '%[2]s' OR
			argMin((open, high, low, close, volume), rank) = argMinIf((open, high, low, close, volume), rank, ingestion_run_id != '%[2]s')
				AND bitShiftRight(min(rank), 48) = bitShiftRight(minIf(rank, ingestion_run_id != '%[2]s'), 48))`, h.table("ohlcv_candle_versions"), run))
}

// requireCounts compares a run's counts with what is stored, in its row and in its chunks' rows, and returns one of them.
func (h *harness) requireCounts(t *testing.T, run map[string]any, name string) int64 {
	t.Helper()
	count := func(name string) int64 { return int64(run["candles_"+name].(float64)) }
	stored := h.number(t, fmt.Sprintf("SELECT count() FROM %s FINAL WHERE ingestion_run_id = '%s'", h.table("ohlcv_candle_versions"), run["run_id"]))
	require.Equal(t, stored, count("inserted")+count("shadowed"), "%v", run)
	require.Equal(t, count("deduplicated"), count("shadowed")+count("skipped"), "%v", run)
	require.Equal(t, count("fetched"), count("inserted")+count("rejected")+count("deduplicated"), "%v", run)
	inRows := h.number(t, fmt.Sprintf("SELECT sum(candles_inserted + candles_shadowed) FROM %s FINAL WHERE run_id = '%s'", h.table("ohlcv_ingestion_tasks"), run["run_id"]))
	require.Equal(t, stored, inRows, "what the chunks stored")
	return int64(run[name].(float64))
}

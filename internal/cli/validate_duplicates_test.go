package cli

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/simmarket"
)

func TestFaultyRunsAreListedWithWhatToDo(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(4)
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: tokens[0].Address}, {Kind: "garbage", Token: tokens[1].Address}}})
	h.worker(t)
	good := []string{"ingestion", "ohlcv", "--wait", "--from", "2025-03-01", "--to", "2025-03-02", "--halt-rejection-rate", "0", "--token"}
	h.ok(t, append(good, tokens[2].Address)...)
	require.Contains(t, h.ok(t, "ohlcv", "validate-duplicates").stdout, "No faulty runs.")
	require.Equal(t, exitRunFailed, h.run(t, append(good, tokens[0].Address)...).code)
	h.ok(t, append(good, tokens[1].Address)...)
	r := h.run(t, "ohlcv", "validate-duplicates", "--format", "json")
	require.Equal(t, exitFailed, r.code, "cron can alert somebody")
	var v validation
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &v))
	require.Len(t, v.Faulty, 2)
	require.Equal(t, backfill.RecommendRollback, v.Faulty[0].Recommendation)
	require.Contains(t, v.Faulty[0].Problems[0], "rejected")
	require.Equal(t, backfill.RecommendRevalidate, v.Faulty[1].Recommendation)
	require.Contains(t, v.Faulty[1].Command, "runs-retry")
}

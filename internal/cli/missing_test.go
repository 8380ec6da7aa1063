package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/coverage"
	"quantbot/internal/simmarket"
)

// What a range lacks is said of raw candles too, by verdict: on stderr, in the manifest of an export, as of the moment that is read; and
// why there are none.
func TestWhatARangeLacksIsSaid(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.worker(t)
	tokens := tradingTokens(t, 2)
	ingest := func(from, to string, more ...string) string {
		args := append([]string{"ingestion", "ohlcv", "--token", tokens[0].Address, "--from", from, "--to", to, "--wait", "--format", "json"}, more...)
		return fmt.Sprint(row(t, h.run(t, args...).stdout)["run_id"])
	}
	first := ingest("2025-03-01", "2025-03-02")
	query := func(from, to string, more ...string) result {
		return h.ok(t, append([]string{"ohlcv", "query", "--token", tokens[0].Address, "--from", from, "--to", to, "--limit", "10"}, more...)...)
	}
	lacks := "1,440 of 2,880 candles are not there and not confirmed to be empty: 1,440 never asked"
	hint := "; for the ranges: quantbot ohlcv gaps --interval 1m --from 2025-03-01T00:00:00Z --to 2025-03-03T00:00:00Z --token " + tokens[0].String() + "\n"
	require.Contains(t, query("2025-03-01", "2025-03-03").stderr, lacks+hint)
	require.NotContains(t, query("2025-03-01", "2025-03-02").stderr, "not there")
	require.Equal(t, map[coverage.Verdict]int64{coverage.NeverAsked: 1440}, h.exportLacks(t, lacks, 1440, "2025-03-01", "2025-03-03"))
	require.Empty(t, h.exportLacks(t, "", 0, "2025-03-01", "2025-03-02"))

	require.Contains(t, query("2025-03-02", "2025-03-03").stdout, "No candles: 1,440 never asked.\n")
	asJSON := query("2025-03-02", "2025-03-03", "--format", "json")
	require.JSONEq(t, "[]", asJSON.stdout)
	require.Contains(t, asJSON.stderr, "No candles: 1,440 never asked.\n")
	require.Contains(t, query("2025-03-01", "2025-03-02", "--interval", "5m").stdout, "No candles: 288 never asked; this range has candles of 1m alone (--interval).\n")
	require.Contains(t, query("2025-03-02", "2025-03-03", "--resample", "1h").stdout, "No candles: 1,440 never asked.\n")
	require.Contains(t, query("2090-01-01", "2090-01-02").stdout, "No candles: the range lies in the future, or has just begun.\n")

	h.market.SetFaults([]simmarket.Fault{{Kind: "401"}})
	ingest("2025-03-02", "2025-03-03")
	require.Contains(t, query("2025-03-01", "2025-03-03").stderr, "not confirmed to be empty: 1,440 failed; ")
	h.market.SetFaults(nil)
	ingest("2025-03-02", "2025-03-03")
	require.NotContains(t, query("2025-03-01", "2025-03-03").stderr, "not there")
	then := query("2025-03-01", "2025-03-03", "--as-of", first).stderr
	require.Contains(t, then, lacks+", as of then\n", "gaps lists what is missing now")
	require.Equal(t, map[coverage.Verdict]int64{coverage.NeverAsked: 1440}, h.exportLacks(t, lacks, 1440, "2025-03-01", "2025-03-03", "--as-of", first))
	require.Contains(t, query("2025-03-02", "2025-03-03", "--as-of", "2025-03-01").stdout, "No candles: nothing of the range had closed at the moment of --as-of.\n")

	h.ok(t, "ohlcv", "runs-rollback", first, "--yes")
	require.Contains(t, query("2025-03-01", "2025-03-02").stdout, "No candles: 1,440 rolled back.\n")
	have := truth(simmarket.NewMarket(1), tokens[:1], days(t, "2025-03-01", "2025-03-02"))
	require.Contains(t, query("2025-03-01", "2025-03-02", "--as-of", first).stdout, "│", "it was there then")
	require.Positive(t, have)
	require.NotContains(t, query("2025-03-01", "2025-03-02", "--as-of", first).stderr, "not there")
}

// exportLacks exports the range of all tokens, and returns what its manifest lacks; unknown is their number.
func (h *harness) exportLacks(t *testing.T, says string, unknown int64, from, to string, more ...string) map[coverage.Verdict]int64 {
	t.Helper()
	out := filepath.Join(t.TempDir(), "candles.csv")
	r := h.ok(t, append([]string{"ohlcv", "export", "--from", from, "--to", to, "--out", out}, more...)...)
	require.Contains(t, r.stderr, says)
	if says == "" {
		require.NotContains(t, r.stderr, "not there")
	}
	var m exportManifest
	encoded, err := os.ReadFile(out + ".manifest.json")
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &m))
	require.Equal(t, unknown, *m.Unknown)
	require.Nil(t, m.Incomplete)
	return m.UnknownByVerdict
}

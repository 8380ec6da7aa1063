package cli

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// The same candles again: each mode counts them, and inline does not store them once their run is settled.
func TestDedupModesCountWhatIsThereAlready(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.vars["QUANTBOT_ROLLBACK_WINDOW"] = "0"
	tokens := simmarket.Tokens(3)
	day := []string{"--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02"}
	first := h.backfill(t, 1, day...)
	n := truth(simmarket.NewMarket(1), tokens, candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")})
	require.EqualValues(t, n, first["candles_inserted"])
	require.Nil(t, first["dedup_completed_at"])
	served := h.hash(t)
	for _, mode := range []string{"post-batch", "inline"} {
		again := h.backfill(t, 1, append(day, "--dedup-mode", mode)...)
		require.EqualValues(t, n, again["candles_fetched"], mode)
		require.EqualValues(t, n, again["candles_deduplicated"], mode)
		require.EqualValues(t, 0, again["candles_inserted"], mode)
		require.Contains(t, h.ok(t, "ohlcv", "runs-details", fmt.Sprint(again["run_id"])).stdout, map[string]string{
			"post-batch": fmt.Sprintf("%d shadowed (stored, adds nothing over what other runs serve) + 0 skipped (not stored)", n),
			"inline":     fmt.Sprintf("0 shadowed (stored, adds nothing over what other runs serve) + %d skipped (not stored)", n),
		}[mode])
		require.NotNil(t, again["dedup_completed_at"], mode)
		require.Equal(t, served, h.hash(t))
	}
	require.EqualValues(t, 2*n, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candle_versions")+" FINAL"), "inline stored nothing")

	waiting := h.ok(t, "ohlcv", "validate-duplicates", "--format", "json")
	require.Contains(t, waiting.stdout, fmt.Sprintf(`"versions": %d`, 2*n))
	dry := h.ok(t, "ohlcv", "dedup-sweep", "--dry-run")
	require.Contains(t, dry.stdout, fmt.Sprintf("%d redundant", n))
	require.Equal(t, exitRefused, h.runWithInput(t, "n\n", "ohlcv", "dedup-sweep").code)
	h.ok(t, "ohlcv", "dedup-sweep", "--yes")
	require.Equal(t, served, h.hash(t))
	require.EqualValues(t, n, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candle_versions")+" FINAL"))
	refused := h.run(t, "ohlcv", "runs-rollback", h.latest(t), "--yes")
	require.Equal(t, 0, refused.code, "the inline run stored nothing, so nothing depends on it: %s", refused.stderr)
	refused = h.run(t, "ohlcv", "runs-rollback", h.winner(t), "--yes")
	require.Equal(t, exitRefused, refused.code)
	require.Contains(t, refused.stderr, "2025-03")
}

func TestDiffAsOfAndExport(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	tokens := simmarket.Tokens(3)
	day := []string{"--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02"}
	first := fmt.Sprint(h.backfill(t, 1, day...)["run_id"])
	query := []string{"ohlcv", "query", "--token", tokens[0].Address, "--from", "2025-03-01", "--to", "2025-03-02", "--limit", "9999", "--format", "json"}
	then := h.ok(t, query...).stdout
	second := fmt.Sprint(h.backfill(t, 2, day...)["run_id"])
	whole := h.ok(t, query...)
	require.NotEqual(t, then, whole.stdout)
	require.Empty(t, whole.stderr)
	require.Contains(t, h.ok(t, append(query, "--limit", "5")...).stderr, "only the first 5 are shown")
	require.Contains(t, h.ok(t, append(query, "--limit", "5", "--resample", "1h")...).stderr, "only the first 5 are shown")
	require.Equal(t, then, h.ok(t, append(query, "--as-of", first)...).stdout, "what a backtest saw")
	require.Equal(t, exitUsage, h.run(t, append(query, "--as-of", "yesteryear")...).code)

	diff := h.ok(t, "ohlcv", "runs-diff", first, second, "--format", "json")
	var compared runDiff
	require.NoError(t, json.Unmarshal([]byte(diff.stdout), &compared))
	require.Len(t, compared.Tokens, 3)
	require.Positive(t, compared.Tokens[0].Different)
	require.Len(t, compared.Largest, 20)

	dir := t.TempDir()
	span := []string{"ohlcv", "export", "--from", "2025-03-01", "--to", "2025-03-02"}
	h.ok(t, append(span, "--out", filepath.Join(dir, "now.parquet"))...)
	h.ok(t, append(span, "--out", filepath.Join(dir, "then.csv"), "--as-of", first)...)
	rows, err := parquet.ReadFile[exportedCandle](filepath.Join(dir, "now.parquet"))
	require.NoError(t, err)
	require.EqualValues(t, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")), len(rows))
	text, err := os.ReadFile(filepath.Join(dir, "then.csv"))
	require.NoError(t, err)
	var m exportManifest
	encoded, err := os.ReadFile(filepath.Join(dir, "then.csv.manifest.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(encoded, &m))
	require.EqualValues(t, m.Rows, strings.Count(string(text), "\n")-1)
	require.Equal(t, []string{first}, m.RunIDs)
	digest := sha256.Sum256(text)
	require.Equal(t, hex.EncodeToString(digest[:]), m.SHA256)

	h.ok(t, "ohlcv", "dedup-sweep", "--older-than", "0", "--yes")
	gone := h.run(t, append(query, "--as-of", first)...)
	require.Equal(t, exitRefused, gone.code)
	require.Regexp(t, `^quantbot: --as-of: versions .* have been removed by a sweep or purge: only later moments can be read\n$`, gone.stderr)
	require.Equal(t, exitRefused, h.run(t, append(span, "--out", filepath.Join(dir, "gone.csv"), "--as-of", first)...).code)
	require.NoFileExists(t, filepath.Join(dir, "gone.csv"))
	require.Equal(t, truth(simmarket.NewMarket(1), tokens, candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}), m.Rows)

	coarse := fmt.Sprint(h.backfill(t, 1, append(day, "--interval", "5m")...)["run_id"])
	refused := h.run(t, "ohlcv", "runs-diff", first, coarse)
	require.Equal(t, exitUsage, refused.code)
	require.Contains(t, refused.stderr, "no candle in common: "+first+" has 1m candles, "+coarse+" has 5m candles")
}

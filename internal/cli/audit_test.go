package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// hash is that of everything that is served.
func (b *bench) hash(t *testing.T) string {
	t.Helper()
	return b.env.ClickHouse(t, "SELECT count(), sum(cityHash64(chain, token_address, interval_seconds, timestamp, open, high, low, close, volume, volume_usd)) FROM "+b.table("ohlcv_candles"))
}

// backfill runs an input to its end with a worker on a market of this seed, and returns the run's row.
func (b *bench) backfill(t *testing.T, seed uint64, args ...string) map[string]any {
	t.Helper()
	running, err := simmarket.Listen(t.Context(), "127.0.0.1:0", simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(seed), Now: time.Now}))
	require.NoError(t, err)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		require.NoError(t, running.Close(ctx))
	}()
	b.vars["BIRDEYE_BASE_URL"] = running.URL()
	worker := b.worker(t)
	defer func() {
		require.NoError(t, worker.Process.Signal(syscall.SIGTERM))
		_ = worker.Wait() // waited for again at the end of the test
	}()
	r := b.run(t, append([]string{"ingestion", "ohlcv", "--no-resume", "--wait", "--format", "json"}, args...)...)
	require.Equal(t, 0, r.code, r.stderr)
	return row(t, r.stdout)
}

func (b *bench) ok(t *testing.T, args ...string) result {
	t.Helper()
	r := b.run(t, args...)
	require.Equal(t, 0, r.code, r.stderr)
	return r
}

// R10: what was served before a run is served after its rollback, with later runs on top, in any order, in every dedup
// mode; and restoring brings everything back.
func TestRollbackBringsBackWhatWasServed(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"none", "inline", "post-batch"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			b := setup(t, simmarket.Options{})
			tokens := writeTokens(t, simmarket.Tokens(4))
			day := []string{"--tokens", tokens, "--from", "2025-03-01", "--to", "2025-03-02", "--dedup-mode", mode}
			b.backfill(t, 1, day...)
			before := b.hash(t)
			bad := fmt.Sprint(b.backfill(t, 2, day...)["run_id"])
			require.NotEqual(t, before, b.hash(t))
			part := []string{"--tokens", tokens, "--from", "2025-03-01T06:00", "--to", "2025-03-01T09:00", "--dedup-mode", mode}
			later := fmt.Sprint(b.backfill(t, 3, part...)["run_id"])
			all := b.hash(t)

			dry := b.ok(t, "ohlcv", "runs-rollback", bad, "--dry-run")
			require.Contains(t, dry.stdout, "falling back to run")
			require.Equal(t, all, b.hash(t))
			asked := b.runWithInput(t, "no\n", "ohlcv", "runs-rollback", bad)
			require.Equal(t, exitRefused, asked.code)
			require.Equal(t, all, b.hash(t))
			b.ok(t, "ohlcv", "runs-rollback", bad, "--yes")
			for _, flag := range []string{"--yes", "--dry-run"} {
				again := b.run(t, "ohlcv", "runs-rollback", bad, flag)
				require.Equal(t, exitRefused, again.code)
				require.Empty(t, again.stdout)
			}
			b.ok(t, "ohlcv", "runs-rollback", later, "--yes")
			require.Equal(t, before, b.hash(t))
			b.ok(t, "ohlcv", "runs-restore", bad)
			b.ok(t, "ohlcv", "runs-restore", later)
			require.Equal(t, all, b.hash(t))
			b.ok(t, "ohlcv", "runs-rollback", later, "--yes")
			b.ok(t, "ohlcv", "runs-rollback", bad, "--yes")
			require.Equal(t, before, b.hash(t))
			require.Equal(t, exitRefused, b.run(t, "ohlcv", "runs-retry", bad).code)
		})
	}
}

// The same candles again: each mode counts them, and inline does not store them once their run is settled.
func TestDedupModesCountWhatIsThereAlready(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	b.vars["QUANTBOT_ROLLBACK_WINDOW"] = "0"
	tokens := simmarket.Tokens(3)
	day := []string{"--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02"}
	first := b.backfill(t, 1, day...)
	n := truth(simmarket.NewMarket(1), tokens, candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")})
	require.EqualValues(t, n, first["candles_inserted"])
	require.Nil(t, first["dedup_completed_at"])
	served := b.hash(t)
	for _, mode := range []string{"post-batch", "inline"} {
		again := b.backfill(t, 1, append(day, "--dedup-mode", mode)...)
		require.EqualValues(t, n, again["candles_fetched"], mode)
		require.EqualValues(t, n, again["candles_deduplicated"], mode)
		require.EqualValues(t, 0, again["candles_inserted"], mode)
		require.Contains(t, b.ok(t, "ohlcv", "runs-details", fmt.Sprint(again["run_id"])).stdout, map[string]string{
			"post-batch": fmt.Sprintf("%d shadowed (stored, adds nothing over what other runs serve) + 0 skipped (not stored)", n),
			"inline":     fmt.Sprintf("0 shadowed (stored, adds nothing over what other runs serve) + %d skipped (not stored)", n),
		}[mode])
		require.NotNil(t, again["dedup_completed_at"], mode)
		require.Equal(t, served, b.hash(t))
	}
	require.EqualValues(t, 2*n, b.number(t, "SELECT count() FROM "+b.table("ohlcv_candle_versions")+" FINAL"), "inline stored nothing")

	waiting := b.ok(t, "ohlcv", "validate-duplicates", "--format", "json")
	require.Contains(t, waiting.stdout, fmt.Sprintf(`"versions": %d`, 2*n))
	dry := b.ok(t, "ohlcv", "dedup-sweep", "--dry-run")
	require.Contains(t, dry.stdout, fmt.Sprintf("%d redundant", n))
	require.Equal(t, exitRefused, b.runWithInput(t, "n\n", "ohlcv", "dedup-sweep").code)
	b.ok(t, "ohlcv", "dedup-sweep", "--yes")
	require.Equal(t, served, b.hash(t))
	require.EqualValues(t, n, b.number(t, "SELECT count() FROM "+b.table("ohlcv_candle_versions")+" FINAL"))
	refused := b.run(t, "ohlcv", "runs-rollback", b.latest(t), "--yes")
	require.Equal(t, 0, refused.code, "the inline run stored nothing, so nothing depends on it: %s", refused.stderr)
	refused = b.run(t, "ohlcv", "runs-rollback", b.winner(t), "--yes")
	require.Equal(t, exitRefused, refused.code)
	require.Contains(t, refused.stderr, "2025-03")
}

// A dry run of a rollback that would be refused is refused: it shows what a sweep has removed, and does nothing.
func TestADryRunOfAnImpossibleUndoIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	day := []string{"--tokens", writeTokens(t, simmarket.Tokens(2)), "--from", "2025-03-01", "--to", "2025-03-02"}
	b.backfill(t, 1, day...)
	b.backfill(t, 1, day...)
	b.ok(t, "ohlcv", "dedup-sweep", "--older-than", "0", "--yes")
	served, winner := b.hash(t), b.winner(t)
	versions := b.number(t, "SELECT count() FROM "+b.table("ohlcv_candle_versions")+" FINAL")
	require.Positive(t, versions)

	refused := b.run(t, "ohlcv", "runs-rollback", winner, "--dry-run")
	require.Equal(t, exitRefused, refused.code, refused.stderr)
	require.Contains(t, refused.stdout, "Would roll back run "+winner+" (completed):\n")
	require.Contains(t, refused.stdout, fmt.Sprintf("  %d versions of 2025-03 that the undo would need, removed by a sweep\n", versions))
	require.Contains(t, refused.stderr, "2025-03")
	inJSON := b.run(t, "ohlcv", "runs-rollback", winner, "--dry-run", "--format", "json")
	require.Equal(t, exitRefused, inJSON.code, inJSON.stderr)
	require.Equal(t, []any{map[string]any{"month": 202503.0, "versions": float64(versions)}}, row(t, inJSON.stdout)["versions_removed"])
	b.ok(t, "ohlcv", "runs-rollback", winner, "--dry-run", "--force")
	require.Equal(t, served, b.hash(t))
	require.Zero(t, b.number(t, "SELECT count() FROM "+b.table("ohlcv_run_visibility")))
}

func (b *bench) latest(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(b.env.ClickHouse(t, "SELECT run_id FROM "+b.table("ohlcv_ingestion_runs")+" ORDER BY started_at DESC LIMIT 1"))
}

// winner is the run whose versions are served.
func (b *bench) winner(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(b.env.ClickHouse(t, "SELECT DISTINCT ingestion_run_id FROM "+b.table("ohlcv_candles")))
}

func TestDiffAsOfAndExport(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	tokens := simmarket.Tokens(3)
	day := []string{"--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02"}
	first := fmt.Sprint(b.backfill(t, 1, day...)["run_id"])
	query := []string{"ohlcv", "query", "--token", tokens[0].Address, "--from", "2025-03-01", "--to", "2025-03-02", "--limit", "9999", "--format", "json"}
	then := b.ok(t, query...).stdout
	second := fmt.Sprint(b.backfill(t, 2, day...)["run_id"])
	whole := b.ok(t, query...)
	require.NotEqual(t, then, whole.stdout)
	require.Empty(t, whole.stderr)
	require.Contains(t, b.ok(t, append(query, "--limit", "5")...).stderr, "only the first 5 are shown")
	require.Contains(t, b.ok(t, append(query, "--limit", "5", "--resample", "1h")...).stderr, "only the first 5 are shown")
	require.Equal(t, then, b.ok(t, append(query, "--as-of", first)...).stdout, "what a backtest saw")
	require.Equal(t, exitUsage, b.run(t, append(query, "--as-of", "yesteryear")...).code)

	diff := b.ok(t, "ohlcv", "runs-diff", first, second, "--format", "json")
	var compared runDiff
	require.NoError(t, json.Unmarshal([]byte(diff.stdout), &compared))
	require.Len(t, compared.Tokens, 3)
	require.Positive(t, compared.Tokens[0].Different)
	require.Len(t, compared.Largest, 20)

	dir := t.TempDir()
	span := []string{"ohlcv", "export", "--from", "2025-03-01", "--to", "2025-03-02"}
	b.ok(t, append(span, "--out", filepath.Join(dir, "now.parquet"))...)
	b.ok(t, append(span, "--out", filepath.Join(dir, "then.csv"), "--as-of", first)...)
	rows, err := parquet.ReadFile[exportedCandle](filepath.Join(dir, "now.parquet"))
	require.NoError(t, err)
	require.EqualValues(t, b.number(t, "SELECT count() FROM "+b.table("ohlcv_candles")), len(rows))
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

	b.ok(t, "ohlcv", "dedup-sweep", "--older-than", "0", "--yes")
	gone := b.run(t, append(query, "--as-of", first)...)
	require.Equal(t, exitRefused, gone.code)
	require.Regexp(t, `^quantbot: --as-of: versions .* have been removed by a sweep or purge: only later moments can be read\n$`, gone.stderr)
	require.Equal(t, exitRefused, b.run(t, append(span, "--out", filepath.Join(dir, "gone.csv"), "--as-of", first)...).code)
	require.NoFileExists(t, filepath.Join(dir, "gone.csv"))
	require.Equal(t, truth(simmarket.NewMarket(1), tokens, candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}), m.Rows)

	coarse := fmt.Sprint(b.backfill(t, 1, append(day, "--interval", "5m")...)["run_id"])
	refused := b.run(t, "ohlcv", "runs-diff", first, coarse)
	require.Equal(t, exitUsage, refused.code)
	require.Contains(t, refused.stderr, "no candle in common: "+first+" has 1m candles, "+coarse+" has 5m candles")
}

func TestFaultyRunsAreListedWithWhatToDo(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(4)
	b := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: tokens[0].Address}, {Kind: "garbage", Token: tokens[1].Address}}})
	b.worker(t)
	good := []string{"ingestion", "ohlcv", "--wait", "--from", "2025-03-01", "--to", "2025-03-02", "--halt-rejection-rate", "0", "--token"}
	b.ok(t, append(good, tokens[2].Address)...)
	require.Contains(t, b.ok(t, "ohlcv", "validate-duplicates").stdout, "No faulty runs.")
	require.Equal(t, exitRunFailed, b.run(t, append(good, tokens[0].Address)...).code)
	b.ok(t, append(good, tokens[1].Address)...)
	r := b.run(t, "ohlcv", "validate-duplicates", "--format", "json")
	require.Equal(t, exitFailed, r.code, "cron can tell somebody")
	var v validation
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &v))
	require.Len(t, v.Faulty, 2)
	require.Equal(t, backfill.RecommendRollback, v.Faulty[0].Recommendation)
	require.Contains(t, v.Faulty[0].Problems[0], "rejected")
	require.Equal(t, backfill.RecommendRevalidate, v.Faulty[1].Recommendation)
	require.Contains(t, v.Faulty[1].Command, "runs-retry")
}

package cli

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// R10: what was served before a run is served after its rollback, with later runs on top, in any order, in every dedup
// mode; and restoring brings everything back.
func TestRollbackBringsBackWhatWasServed(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"none", "inline", "post-batch"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			h := setup(t, simmarket.Options{})
			tokens := writeTokens(t, simmarket.Tokens(4))
			day := []string{"--tokens", tokens, "--from", "2025-03-01", "--to", "2025-03-02", "--dedup-mode", mode}
			h.backfill(t, 1, day...)
			before := h.hash(t)
			bad := fmt.Sprint(h.backfill(t, 2, day...)["run_id"])
			require.NotEqual(t, before, h.hash(t))
			part := []string{"--tokens", tokens, "--from", "2025-03-01T06:00", "--to", "2025-03-01T09:00", "--dedup-mode", mode}
			later := fmt.Sprint(h.backfill(t, 3, part...)["run_id"])
			all := h.hash(t)

			dry := h.ok(t, "ohlcv", "runs-rollback", bad, "--dry-run")
			require.Contains(t, dry.stdout, "falling back to run")
			require.Equal(t, all, h.hash(t))
			asked := h.runWithInput(t, "no\n", "ohlcv", "runs-rollback", bad)
			require.Equal(t, exitRefused, asked.code)
			require.Equal(t, all, h.hash(t))
			h.ok(t, "ohlcv", "runs-rollback", bad, "--yes")
			for _, flag := range []string{"--yes", "--dry-run"} {
				again := h.run(t, "ohlcv", "runs-rollback", bad, flag)
				require.Equal(t, exitRefused, again.code)
				require.Empty(t, again.stdout)
			}
			h.ok(t, "ohlcv", "runs-rollback", later, "--yes")
			require.Equal(t, before, h.hash(t))
			h.ok(t, "ohlcv", "runs-restore", bad)
			h.ok(t, "ohlcv", "runs-restore", later)
			require.Equal(t, all, h.hash(t))
			h.ok(t, "ohlcv", "runs-rollback", later, "--yes")
			h.ok(t, "ohlcv", "runs-rollback", bad, "--yes")
			require.Equal(t, before, h.hash(t))
			require.Equal(t, exitRefused, h.run(t, "ohlcv", "runs-retry", bad).code)
		})
	}
}

// A dry run of a rollback that would be refused is refused: it shows what a sweep has removed, and does nothing.
func TestADryRunOfAnImpossibleUndoIsRefused(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	day := []string{"--tokens", writeTokens(t, simmarket.Tokens(2)), "--from", "2025-03-01", "--to", "2025-03-02"}
	h.backfill(t, 1, day...)
	h.backfill(t, 1, day...)
	h.ok(t, "ohlcv", "dedup-sweep", "--older-than", "0", "--yes")
	served, winner := h.hash(t), h.winner(t)
	versions := h.number(t, "SELECT count() FROM "+h.table("ohlcv_candle_versions")+" FINAL")
	require.Positive(t, versions)

	refused := h.run(t, "ohlcv", "runs-rollback", winner, "--dry-run")
	require.Equal(t, exitRefused, refused.code, refused.stderr)
	require.Contains(t, refused.stdout, "Would roll back run "+winner+" (completed):\n")
	require.Contains(t, refused.stdout, fmt.Sprintf("  %d versions of 2025-03 that the undo would need, removed by a sweep\n", versions))
	require.Contains(t, refused.stderr, "2025-03")
	inJSON := h.run(t, "ohlcv", "runs-rollback", winner, "--dry-run", "--format", "json")
	require.Equal(t, exitRefused, inJSON.code, inJSON.stderr)
	require.Equal(t, []any{map[string]any{"month": 202503.0, "versions": float64(versions)}}, row(t, inJSON.stdout)["versions_removed"])
	h.ok(t, "ohlcv", "runs-rollback", winner, "--dry-run", "--force")
	require.Equal(t, served, h.hash(t))
	require.Zero(t, h.number(t, "SELECT count() FROM "+h.table("ohlcv_run_visibility")))
}

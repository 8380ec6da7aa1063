package cli

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func TestCancelEndsARunWithinSeconds(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Latency: time.Second})
	h.worker(t)
	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, simmarket.Tokens(40)), "--format", "json"}
	started := h.run(t, args...)
	require.Equal(t, 0, started.code, started.stderr)
	id := fmt.Sprint(row(t, started.stdout)["run_id"])
	require.Eventually(t, func() bool { return h.market.Stats().ByStatus[200] >= 4 }, time.Minute, 10*time.Millisecond)
	cancelled := h.run(t, "ohlcv", "runs-cancel", id, "--format", "json")
	require.Equal(t, 0, cancelled.code, cancelled.stderr)
	run := row(t, cancelled.stdout)
	require.Equal(t, "cancelled", run["status"])
	require.NotEqual(t, "0", fmt.Sprint(run["cancelled_chunks"]))
	require.Less(t, h.market.Stats().Requests, int64(40))
	require.Equal(t, exitRefused, h.run(t, "ohlcv", "runs-cancel", id).code, "it is over")

	again := h.run(t, append(args, "--wait")...)
	require.Equal(t, 0, again.code, again.stderr)
	require.Equal(t, "completed", row(t, again.stdout)["status"])
}

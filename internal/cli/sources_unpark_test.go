package cli

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// Queues are there once somebody has used them: those of other priorities may never have been.
func TestUnparkingTakesUpWhatWaitsInTheQueuesThatThereAre(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	require.Contains(t, h.ok(t, "ohlcv", "sources-unpark", "birdeye").stderr, "unparked 0 accounts")
	h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", "So11111111111111111111111111111111111111112", "--priority", "low")
	require.Contains(t, h.ok(t, "ohlcv", "sources-unpark", "birdeye").stderr, "0 waiting chunks")
}

// A quota that is used up parks the source; sources shows it, and sources-unpark lets the run go on at once.
func TestAParkedSourceGoesOnWhenUnparked(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "quota"}}})
	h.worker(t)
	tokens := tradingTokens(t, 2)
	h.ok(t, "ingestion", "ohlcv", "--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02")
	require.Eventually(t, func() bool { return h.parked(t) }, 2*time.Minute, 100*time.Millisecond)
	require.Contains(t, h.ok(t, "ohlcv", "sources").stdout, "parked until")
	require.Contains(t, h.ok(t, "ohlcv", "runs-list").stdout, "running (parked until")
	require.Contains(t, h.ok(t, "ohlcv", "runs-details", h.latest(t)).stdout, "its quota is used up (sources-unpark birdeye)")
	h.market.SetFaults(nil)
	require.Eventually(t, func() bool {
		h.ok(t, "ohlcv", "sources-unpark", "birdeye")
		return h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs")+" WHERE status = 'completed'") == 1
	}, 2*time.Minute, 500*time.Millisecond)
	require.Equal(t, exitUsage, h.run(t, "ohlcv", "sources-unpark", "nasdaq").code)
}

func (h *harness) parked(t *testing.T) bool {
	t.Helper()
	var all []struct {
		ParkedUntil time.Time `json:"parked_until"`
	}
	require.NoError(t, json.Unmarshal([]byte(h.ok(t, "ohlcv", "sources", "--format", "json").stdout), &all))
	return len(all) == 1 && !all[0].ParkedUntil.IsZero()
}

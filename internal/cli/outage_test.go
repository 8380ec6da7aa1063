package cli

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// A source that fails for everybody costs no chunk its tries: they wait until it is back.
func TestNothingFailsWhileTheSourceIsDown(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.market.SetFaults([]simmarket.Fault{{Kind: "500"}})
	h.worker(t)
	tokens := simmarket.Tokens(20)
	ended := make(chan result, 1)
	go func() {
		ended <- h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	}()
	// Longer than a chunk's five tries would last: chunks and probes have failed, and probes fail again.
	const probed = "So11111111111111111111111111111111111111112"
	require.Eventually(t, func() bool { return h.market.Stats().ByToken[probed] >= 4 }, time.Minute, 20*time.Millisecond)
	h.market.SetFaults(nil)
	r := <-ended
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	require.EqualValues(t, 0, run["errors_count"])
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	require.EqualValues(t, truth(simmarket.NewMarket(1), tokens, day), run["candles_inserted"])
}

// A run that failed is retried: only the failed chunk is fetched, and the run's numbers are exact.
func TestRetryFetchesOnlyWhatFailed(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(5)
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: tokens[2].Address}}})
	h.worker(t)
	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	id := fmt.Sprint(row(t, r.stdout)["run_id"])
	h.market.SetFaults(nil)

	r = h.run(t, "ohlcv", "runs-retry", id, "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	require.Equal(t, "completed", run["status"])
	require.EqualValues(t, 2, run["attempt"])
	require.EqualValues(t, 5, run["planned_chunks"])
	require.EqualValues(t, 1, run["retried_chunks"])
	require.EqualValues(t, 5, run["tokens_processed"])
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	require.EqualValues(t, truth(simmarket.NewMarket(1), tokens, day), run["candles_inserted"])
	for _, token := range tokens {
		if token != tokens[2] {
			require.EqualValues(t, 1, h.market.Stats().ByToken[token.Address])
		}
	}

	again := h.run(t, "ohlcv", "runs-retry", id)
	require.Equal(t, exitRefused, again.code)
	require.Contains(t, again.stderr, "nothing to retry")
	resumed := h.run(t, "ohlcv", "runs-resume", id)
	require.Equal(t, exitRefused, resumed.code)
	require.Contains(t, resumed.stderr, "runs-retry")
}

// A source that sends garbage halts the run before it has fetched everything.
func TestGarbageHaltsTheRun(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(40)
	h := setup(t, simmarket.Options{Latency: 100 * time.Millisecond, Faults: []simmarket.Fault{{Kind: "garbage"}}})
	h.worker(t)
	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens),
		"--halt-rejection-rate", "0.2", "--wait", "--format", "json")
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	run := row(t, r.stdout)
	require.Equal(t, "failed", run["status"])
	require.Contains(t, run["error_message"], "halted")
	require.Contains(t, run["error_message"], "above the limit of 20%")
	require.Positive(t, run["cancelled_chunks"])
	require.Less(t, h.market.Stats().Requests, int64(40))
}

package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// A run that failed says what to do next, as the webhook does; one that went well says nothing.
func TestAFailedRunSaysWhatIsNext(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(2)
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: tokens[0].Address}}})
	h.worker(t)
	input := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait"}
	failed := h.run(t, input...)
	require.Equal(t, exitRunFailed, failed.code)
	id := h.latest(t)
	require.Contains(t, failed.stderr, "Next: quantbot ohlcv runs-retry "+id+"\n")
	h.market.SetFaults(nil)
	require.NotContains(t, h.ok(t, "ohlcv", "runs-retry", id, "--wait").stderr, "Next: ")
}

// Many rejected candles are warned of with their share, also when the run goes well otherwise.
func TestManyRejectedCandlesAreWarnedOf(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "garbage"}}})
	h.worker(t)
	list := writeTokens(t, simmarket.Tokens(6))
	input := func(from, to string) []string {
		return []string{"ingestion", "ohlcv", "--from", from, "--to", to, "--tokens", list, "--halt-rejection-rate", "0", "--wait"}
	}
	warned := h.ok(t, input("2025-03-01", "2025-03-02")...)
	require.Regexp(t, `warning: \d+\.\d % of the candles were rejected \(\d+ of \d+\): look at the rules that they broke with quantbot ohlcv runs-details `+h.latest(t), warned.stderr)
	h.market.SetFaults(nil)
	require.NotContains(t, h.ok(t, input("2025-03-02", "2025-03-03")...).stderr, "rejected")
}

// Who rolled a run back and who restored it, when and why, is part of its details.
func TestDetailsSayWhoRolledBackAndWhy(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.worker(t)
	h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, simmarket.Tokens(2)), "--wait")
	id := h.latest(t)
	require.NotContains(t, h.ok(t, "ohlcv", "runs-details", id).stdout, "Rolled back")
	h.ok(t, "ohlcv", "runs-rollback", id, "--yes", "--reason", "source was wrong")
	h.ok(t, "ohlcv", "runs-restore", id, "--reason", "it was right")
	by := operatorName()
	details := h.ok(t, "ohlcv", "runs-details", id)
	require.Regexp(t, `(?s)Rolled back and restored\n  \d{4}-\S+ \S+  rolled back by `+by+`: source was wrong\n  \d{4}-\S+ \S+  restored by `+by+`: it was right\n`, details.stdout)
	events, ok := row(t, h.ok(t, "ohlcv", "runs-details", id, "--format", "json").stdout)["events"].([]any)
	require.True(t, ok)
	last, ok := events[len(events)-1].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "restored", last["event"])
	require.Equal(t, "it was right", last["reason"])
	require.Equal(t, by, last["by"])
}

package cli

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// Several intervals are a run each, with one summary and one allowance for all.
func TestSeveralIntervalsAreARunEach(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	command := func(more ...string) []string {
		return append([]string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-03", "--interval", "1m, 1h", "--interval", "1d", "--tokens", "-"}, more...)
	}
	tokens := simmarket.Tokens(2)
	list := tokens[0].Address + "\n" + tokens[1].Address + "\n" // a pipe, that can be read once
	dry := h.runWithInput(t, list, command("--dry-run")...)
	require.Zero(t, dry.code, dry.stderr)
	for _, interval := range []string{"1m", "1h", "1d"} {
		require.Contains(t, dry.stdout, "The run of "+interval+" candles would take at most:")
	}
	var calls int64
	for documents := json.NewDecoder(strings.NewReader(h.runWithInput(t, list, command("--dry-run", "--format", "json")...).stdout)); documents.More(); {
		var e estimate
		require.NoError(t, documents.Decode(&e))
		calls += e.APICalls
	}
	require.EqualValues(t, 6, calls)
	refused := h.runWithInput(t, list, command("--max-calls", "5")...)
	require.Equal(t, exitRefused, refused.code, "the cap is for all of them")
	require.Zero(t, h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs")))

	h.worker(t)
	r := h.runWithInput(t, list, command("--wait", "--max-calls", "6")...)
	require.Zero(t, r.code, r.stderr)
	_, summary, found := strings.Cut(r.stdout, "│ INTERVAL")
	require.True(t, found, r.stdout)
	require.Equal(t, 3, strings.Count(summary, "│ completed"), summary)
	for _, seconds := range []string{"60", "3600", "86400"} {
		require.Positive(t, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")+" WHERE interval_seconds = "+seconds), seconds)
	}
	require.EqualValues(t, 3, h.number(t, "SELECT uniqExact(interval) FROM "+h.table("ohlcv_ingestion_runs")))
	for _, wrong := range []string{"1m, 1m", "2m", ""} {
		require.Equal(t, exitUsage, h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-03", "--token", tokens[0].Address, "--interval", wrong).code, wrong)
	}
}

package cli

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// While a run runs, every place has the counts of now: the list, the details, and the page that asks whether to cancel it.
func TestRunningRunsHaveTheirLiveCounts(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(12)
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	// One token is never answered within the time-out, so the run stands still with what the others brought.
	h.market.SetFaults([]simmarket.Fault{{Kind: "401", Token: tokens[1].Address}, {Kind: "slow", Token: tokens[0].Address, Delay: 10 * time.Minute}})
	page := h.watchedDashboard(t)
	h.worker(t)
	h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens))
	id := h.latest(t)
	stored := "SELECT count() FROM " + h.table("ohlcv_candle_versions")
	ended := "SELECT uniqExact(chunk_id) FROM " + h.table("ohlcv_ingestion_tasks") + " WHERE status != 'planned'"
	require.Eventually(t, func() bool {
		if h.number(t, ended) < int64(len(tokens)-1) {
			return false // what comes later would change the counts under the test
		}
		d := row(t, h.ok(t, "ohlcv", "runs-details", id, "--format", "json").stdout)
		require.Equal(t, "running", d["status"])
		return d["errors_count"] == 1.0 && d["candles_inserted"] == float64(h.number(t, stored)) && d["candles_inserted"] != 0.0 && d["identity_holds"] == true
	}, 2*time.Minute, 100*time.Millisecond)
	count := fmt.Sprint(h.number(t, stored))
	require.Contains(t, h.ok(t, "ohlcv", "runs-details", id).stdout, count+" fetched = "+count+" inserted")
	require.Regexp(t, `│ +1 │ +0 │ +`+count+` │ +`+count+` │`, h.ok(t, "ohlcv", "runs-list").stdout)
	var listed []map[string]any
	require.NoError(t, json.Unmarshal([]byte(h.ok(t, "ohlcv", "runs-list", "--format", "json").stdout), &listed))
	require.EqualValues(t, h.number(t, stored), listed[0]["candles_inserted"])
	plain := func(path string) string {
		return regexp.MustCompile(`[ ,\x{2009}\x{202f}\x{00a0}]`).ReplaceAllString(get(page+path), "")
	}
	require.Contains(t, plain("/runs/"+id+"/cancel"), count+"candles")
	require.Contains(t, plain("/api/runs/"+id), `"candles_inserted":`+count)
	require.Contains(t, plain("/api/runs"), `"candles_inserted":`+count)
}

// Whoever starts a run and does not wait reads, in one line, that nobody works.
func TestWithoutWorkersAStartedRunSaysSo(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	input := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--force"}
	const says = "no worker is running: start one with `worker`"
	require.Contains(t, h.ok(t, input...).stderr, says)
	h.worker(t)
	require.Eventually(t, func() bool { return !strings.Contains(h.ok(t, input...).stderr, says) }, 2*time.Minute, lookEvery)
}

package cli

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	b := setup(t, simmarket.Options{})
	b.ok(t, "migrate")
	// One token is never answered within the time-out, so the run stands still with what the others brought.
	b.market.SetFaults([]simmarket.Fault{{Kind: "401", Token: tokens[1].Address}, {Kind: "slow", Token: tokens[0].Address, Delay: 10 * time.Minute}})
	page := b.watchedDashboard(t)
	b.worker(t)
	b.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens))
	id := b.latest(t)
	stored := "SELECT count() FROM " + b.table("ohlcv_candle_versions")
	ended := "SELECT uniqExact(chunk_id) FROM " + b.table("ohlcv_ingestion_tasks") + " WHERE status != 'planned'"
	require.Eventually(t, func() bool {
		if b.number(t, ended) < int64(len(tokens)-1) {
			return false // what comes later would change the counts under the test
		}
		d := row(t, b.ok(t, "ohlcv", "runs-details", id, "--format", "json").stdout)
		require.Equal(t, "running", d["status"])
		return d["errors_count"] == 1.0 && d["candles_inserted"] == float64(b.number(t, stored)) && d["candles_inserted"] != 0.0 && d["identity_holds"] == true
	}, 2*time.Minute, 100*time.Millisecond)
	count := fmt.Sprint(b.number(t, stored))
	require.Contains(t, b.ok(t, "ohlcv", "runs-details", id).stdout, count+" fetched = "+count+" inserted")
	require.Regexp(t, `│ +1 │ +0 │ +`+count+` │ +`+count+` │`, b.ok(t, "ohlcv", "runs-list").stdout)
	var listed []map[string]any
	require.NoError(t, json.Unmarshal([]byte(b.ok(t, "ohlcv", "runs-list", "--format", "json").stdout), &listed))
	require.EqualValues(t, b.number(t, stored), listed[0]["candles_inserted"])
	plain := func(path string) string {
		return regexp.MustCompile(`[ ,\x{2009}\x{202f}\x{00a0}]`).ReplaceAllString(get(page+path), "")
	}
	require.Contains(t, plain("/runs/"+id+"/cancel"), count+"candles")
	require.Contains(t, plain("/api/runs/"+id), `"candles_inserted":`+count)
	require.Contains(t, plain("/api/runs"), `"candles_inserted":`+count)
}

// Whoever starts a run and does not wait is told, in one line, that nobody works.
func TestWithoutWorkersAStartedRunSaysSo(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	input := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--force"}
	const says = "no worker is running: start one with `worker`"
	require.Contains(t, b.ok(t, input...).stderr, says)
	b.worker(t)
	require.Eventually(t, func() bool { return !strings.Contains(b.ok(t, input...).stderr, says) }, 2*time.Minute, 100*time.Millisecond)
}

// doctor looks at the room on disks, at workers, at sources (those that cost credits when it is told to), and at the webhook's
// host, to which it sends nothing.
func TestDoctorLooksAtEverything(t *testing.T) {
	t.Parallel()
	b := setup(t, simmarket.Options{})
	b.ok(t, "migrate")
	methods := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { methods <- r.Method }))
	t.Cleanup(receiver.Close)
	require.Contains(t, b.ok(t, "doctor").stdout, "none is set: alerts go nowhere")
	b.vars["QUANTBOT_ALERT_WEBHOOK_URL"] = receiver.URL
	healthy := b.ok(t, "doctor").stdout
	for _, line := range []string{
		`ok +clickhouse disk +[\d.]+ of [\d.]+ GiB free on disk default`, `ok +source birdeye +not asked, because a question costs credits: doctor --ask-sources`,
		`ok +webhook +its host answers; whether it takes messages says: quantbot alert-test`, `warning +workers +no worker is running`,
	} {
		require.Regexp(t, line, healthy)
	}
	require.Equal(t, http.MethodHead, <-methods, "it sends no message")
	require.Zero(t, b.market.Stats().Requests)
	require.Regexp(t, `ok +source birdeye +answers, within `, b.ok(t, "doctor", "--ask-sources").stdout)
	require.EqualValues(t, 1, b.market.Stats().Requests)
	b.worker(t)
	require.Eventually(t, func() bool { return strings.Contains(b.ok(t, "doctor").stdout, "1 worker running") }, 2*time.Minute, 100*time.Millisecond)

	receiver.Close()
	b.market.SetFaults([]simmarket.Fault{{Kind: "500"}})
	ill := b.run(t, "doctor", "--ask-sources")
	require.Equal(t, exitFailed, ill.code)
	require.Regexp(t, `error +source birdeye +birdeye answers nobody since `+moment+`: .*500`, ill.stdout)
	require.Regexp(t, `warning +webhook `, ill.stdout)
	require.Contains(t, ill.stdout, "alert-test")
}

package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/worklist"
)

func TestCallsBecomeCandlesAndARunRow(t *testing.T) {
	t.Parallel()
	h := setupEmpty(t, simmarket.Options{})
	var calls []worklist.Call
	tokens := simmarket.Tokens(20)
	for i, token := range tokens {
		calls = append(calls, worklist.Call{Token: token, AtMS: 1_000 * (unix(t, "2025-03-01T12:00:00Z") + int64(i)*600)})
	}
	file := filepath.Join(t.TempDir(), "calls.duckdb")
	require.NoError(t, worklist.WriteSample(t.Context(), file, calls))
	h.worker(t)
	h.worker(t)

	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--duckdb", file, "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	require.Equal(t, "completed", run["status"])
	var want int64
	for _, w := range worklist.CallWindows(calls, 260*time.Minute, 1440*time.Minute) {
		want += truth(simmarket.NewMarket(1), []candle.Token{w.Token}, w.Ranges[0])
	}
	require.EqualValues(t, want, run["candles_inserted"])
	require.EqualValues(t, want, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
	require.EqualValues(t, 20, run["planned_chunks"])

	// The statement that the audit trail was asked for, unchanged but for the database.
	brief := h.env.ClickHouse(t, `SELECT run_id, started_at, completed_at, status, script_version, git_commit_hash, git_branch, git_dirty,
		candles_fetched, candles_inserted, tokens_processed, errors_count
		FROM `+h.table("ohlcv_ingestion_runs")+` ORDER BY started_at DESC LIMIT 10`)
	require.Equal(t, 1, strings.Count(brief, "\n"))

	id, ok := run["run_id"].(string)
	require.True(t, ok)
	require.Contains(t, h.run(t, "ohlcv", "runs-list", "--status=completed", "--limit=20").stdout, id)
	require.Equal(t, "No runs.\n", h.run(t, "ohlcv", "runs-list", "--status=failed").stdout)
	details := h.run(t, "ohlcv", "runs-details", id)
	require.Equal(t, 0, details.code, details.stderr)
	require.Contains(t, details.stdout, "identity holds")
	require.Contains(t, details.stdout, `"BIRDEYE_API_KEY":"***"`)
	clean := row(t, h.run(t, "ohlcv", "runs-details", id, "--failed", "--format", "json").stdout)
	for _, list := range []string{"failures", "rejected_by_rule", "tasks"} {
		require.Equal(t, []any{}, clean[list], list)
	}
	list := h.run(t, "ohlcv", "runs-list", "--format", "json", "--limit", "1")
	require.Contains(t, list.stdout, id)
	require.Equal(t, 0, h.run(t, "ohlcv", "runs-watch", id).code)
}

// The recorded minutes of a real token arrive exactly, and its gaps stay gaps.
func TestRecordedCandlesArriveExactly(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "shared", "data", "candles.csv")
	file, err := os.Open(path)
	if os.IsNotExist(err) {
		t.Skip("the recorded market data is not on this machine")
	}
	require.NoError(t, err)
	defer file.Close()
	market, err := simmarket.LoadCSV(file)
	require.NoError(t, err)
	const mint = "5LKHMd2rMSRaG9y4iHwSLRtrJ3dCrJ2CytvBeak8pump"
	token := candle.Token{Chain: candle.Solana, Address: mint}
	all := market.Candles(token, candle.Interval1m, candle.Range{From: 0, To: 4_000_000_000})
	require.Len(t, all, 8_281)
	h := setup(t, simmarket.Options{Market: market})
	h.worker(t)

	r := h.run(t, "ingestion", "ohlcv", "--from", candle.FormatTime(all[0].OpenTime), "--to", candle.FormatTime(all[len(all)-1].OpenTime+60),
		"--token", mint, "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	require.EqualValues(t, 8_281, run["candles_fetched"])
	require.EqualValues(t, 8_281, run["candles_inserted"])

	got := h.run(t, "ohlcv", "query", "--token", mint, "--from", "2025-01-01", "--to", "2026-01-01", "--limit", "100000", "--format", "json")
	var candles []printedCandle
	require.NoError(t, json.Unmarshal([]byte(got.stdout), &candles))
	require.Len(t, candles, len(all))
	for i, want := range all {
		c := candles[i]
		require.Equal(t, want, candle.Candle{OpenTime: c.Timestamp.Unix(), Open: c.Open, High: c.High, Low: c.Low, Close: c.Close, Volume: c.Volume, VolumeUSD: c.VolumeUSD})
	}
}

func TestATokenThatAlwaysFailsFailsTheRunAndOnlyItself(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(5)
	bad := tokens[2].Address
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "500", Token: bad}}})
	h.worker(t)
	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	run := row(t, r.stdout)
	require.Equal(t, "failed", run["status"])
	require.EqualValues(t, 1, run["errors_count"])
	require.Contains(t, run["error_message"], bad)
	require.Contains(t, run["error_message"], "HTTP 500")
	require.EqualValues(t, 4+5, run["api_calls"], "each of the five tries was paid for")
	others := append(append([]candle.Token{}, tokens[:2]...), tokens[3:]...)
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	require.EqualValues(t, truth(simmarket.NewMarket(1), others, day), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
	details := h.run(t, "ohlcv", "runs-details", fmt.Sprint(run["run_id"]), "--failed")
	require.Contains(t, details.stdout, bad)
}

// R7: trouble with the audit trail never stops ingestion, and the trail is completed later.
func TestCandlesArriveWhileTheHistoryIsAway(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	require.Equal(t, 0, h.run(t, "migrate").code)
	h.env.ClickHouse(t, "RENAME TABLE "+h.table("ohlcv_run_lifecycle")+" TO "+h.table("away1"))
	h.env.ClickHouse(t, "RENAME TABLE "+h.table("ohlcv_ingestion_tasks")+" TO "+h.table("away2"))
	h.worker(t)
	tokens := simmarket.Tokens(5)
	r := h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Contains(t, r.stderr, "level=WARN")
	run := row(t, r.stdout)
	require.Equal(t, "completed", run["status"])
	inserted := h.number(t, "SELECT count() FROM "+h.table("ohlcv_candle_versions")+" FINAL")
	require.Positive(t, inserted)
	require.EqualValues(t, run["candles_inserted"], inserted)

	h.env.ClickHouse(t, "RENAME TABLE "+h.table("away1")+" TO "+h.table("ohlcv_run_lifecycle"))
	h.env.ClickHouse(t, "RENAME TABLE "+h.table("away2")+" TO "+h.table("ohlcv_ingestion_tasks"))
	require.Eventually(t, func() bool {
		return h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs")+" WHERE status = 'completed'") == 1 &&
			h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_tasks")+" FINAL WHERE status = 'success'") == 5
	}, time.Minute, 200*time.Millisecond)
}

// A worker dies by force in the middle of a run; the other one, and asynq's recovery, complete it with exact stats.
func TestRunSurvivesAKilledWorker(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Latency: 200 * time.Millisecond})
	victim := h.worker(t)
	h.worker(t)
	tokens := simmarket.Tokens(60)
	ended := make(chan result, 1)
	go func() {
		ended <- h.run(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens), "--wait", "--format", "json")
	}()
	require.Eventually(t, func() bool { return h.market.Stats().Requests > 16 }, time.Minute, 5*time.Millisecond)
	require.NoError(t, victim.Process.Kill())
	r := <-ended
	require.Equal(t, 0, r.code, r.stderr)
	run := row(t, r.stdout)
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	want := truth(simmarket.NewMarket(1), tokens, day)
	require.EqualValues(t, want, run["candles_inserted"])
	require.EqualValues(t, want, run["candles_fetched"])
	require.EqualValues(t, want, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
}

func TestTheSameInputIsRefusedWhileItRuns(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	args := []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address}
	first := h.run(t, args...)
	require.Equal(t, 0, first.code, first.stderr)
	second := h.run(t, args...)
	require.Equal(t, exitRefused, second.code)
	require.Contains(t, second.stderr, "still running")
	forced := h.run(t, append(args, "--force")...)
	require.Equal(t, 0, forced.code, forced.stderr)
}

func TestARunWithoutChunksEndsAtOnce(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	r := h.run(t, "ingestion", "ohlcv", "--from", "2100-01-01", "--to", "2100-01-02", "--token", simmarket.Tokens(1)[0].Address, "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, "completed", row(t, r.stdout)["status"])
}

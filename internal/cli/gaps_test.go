package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
	"quantbot/internal/publicjson"
	"quantbot/internal/simmarket"
	"quantbot/internal/worklist"
)

func (h *harness) gaps(t *testing.T, more ...string) (gaps []gap) {
	t.Helper()
	require.NoError(t, publicjson.Unmarshal([]byte(h.ok(t, append([]string{"ohlcv", "gaps", "--format", "json"}, more...)...).stdout), &gaps))
	return gaps
}

func (h *harness) covered(t *testing.T) (covered []tokenVerdicts) {
	t.Helper()
	require.NoError(t, publicjson.Unmarshal([]byte(h.ok(t, "ohlcv", "coverage", "--format", "json").stdout), &covered))
	return covered
}

func days(t *testing.T, from, to string) candle.Range {
	t.Helper()
	return candle.Range{From: unix(t, from+"T00:00:00Z"), To: unix(t, to+"T00:00:00Z")}
}

// What a rollback hides is a gap, by name, and its own advice fetches it: the ranges of runs that had relied on it, and those of a
// token all of whose runs are rolled back.
func TestARolledBackRangeIsAGapUntilItIsFetched(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.worker(t)
	tokens := tradingTokens(t, 2)
	input := []string{"ingestion", "ohlcv", "--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02", "--wait", "--format", "json"}
	first := fmt.Sprint(row(t, h.ok(t, input...).stdout)["run_id"])
	h.ok(t, input...) // relies on it
	require.Contains(t, h.ok(t, "ohlcv", "gaps").stdout, "No gaps.")
	preview := h.ok(t, "ohlcv", "runs-rollback", first, "--yes").stdout
	day := days(t, "2025-03-01", "2025-03-02")

	gaps := h.gaps(t)
	require.Len(t, gaps, 2, "both tokens")
	for _, g := range gaps {
		require.Equal(t, gap{g.Token, day, 1440, coverage.RolledBack, "rolled back (run " + first + ")", []uuid.UUID{uuid.MustParse(first)}}, g)
	}
	require.Contains(t, h.ok(t, "ohlcv", "gaps").stdout, "rolled back (run "+first+")")
	shown := h.ok(t, "ohlcv", "coverage").stdout
	require.Contains(t, shown, "bbbbbbbb")
	require.Regexp(t, `│ 2025-03-01 │ 2025-03-02 │ +0 │ +1440 │`, shown, "the dates of the range, and the verdict")
	for _, c := range h.covered(t) {
		require.Equal(t, day, c.Range)
		require.Equal(t, map[coverage.Verdict]int64{coverage.RolledBack: 1440}, c.Candles)
		require.EqualValues(t, 1440, c.Stale)
	}
	require.Contains(t, preview, "gaps --run "+first+" --fetch", "the advice, which is followed now")
	h.fetchesAll(t, 2, "--run", first)
	whole := truth(simmarket.NewMarket(1), tokens, day)
	require.EqualValues(t, whole, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))

	for range 3 { // everything that is served
		h.ok(t, "ohlcv", "runs-rollback", h.served(t), "--yes")
		if h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")) == 0 {
			break
		}
	}
	require.Len(t, h.gaps(t), 2)
	h.fetchesAll(t, 2)
	require.EqualValues(t, whole, h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
}

// served is a run with served candles.
func (h *harness) served(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(h.env.ClickHouse(t, "SELECT toString(any(ingestion_run_id)) FROM "+h.table("ohlcv_candles")))
}

// fetchesAll fetches the gaps with so many calls, after which there are none.
func (h *harness) fetchesAll(t *testing.T, calls int64, more ...string) {
	t.Helper()
	before := h.asked()
	fetched := row(t, h.ok(t, append([]string{"ohlcv", "gaps", "--fetch", "--yes", "--wait", "--format", "json"}, more...)...).stdout)
	require.Equal(t, "completed", fetched["status"])
	require.Equal(t, calls, h.asked()-before, "counted by the service")
	require.Contains(t, h.ok(t, append([]string{"ohlcv", "gaps"}, more...)...).stdout, "No gaps.")
}

// A cancelled chunk at the edge of what was asked for is a gap until it is fetched.
func TestACancelledRangeIsAGapUntilItIsFetched(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "migrate")
	tokens := tradingTokens(t, 1)
	ingest := func(from, to string, more ...string) {
		h.ok(t, append([]string{"ingestion", "ohlcv", "--token", tokens[0].Address, "--from", from, "--to", to}, more...)...)
	}
	ingest("2025-03-02", "2025-03-03")
	cancelled := h.latest(t)
	h.ok(t, "ohlcv", "runs-cancel", cancelled)
	h.worker(t)
	ingest("2025-03-01", "2025-03-02", "--wait")
	want := []gap{{tokens[0], days(t, "2025-03-02", "2025-03-03"), 1440, coverage.CancelledChunk, "cancelled", []uuid.UUID{}}}
	require.Equal(t, want, h.gaps(t))
	require.Equal(t, want, h.gaps(t, "--run", cancelled))
	shown := h.covered(t)[0]
	require.Equal(t, days(t, "2025-03-01", "2025-03-03"), shown.Range)
	require.EqualValues(t, 1440, shown.Candles[coverage.CancelledChunk])
	require.Contains(t, h.ok(t, "ohlcv", "coverage").stdout, "cccccccc")
	h.fetchesAll(t, 1)
	require.EqualValues(t, truth(simmarket.NewMarket(1), tokens, days(t, "2025-03-01", "2025-03-03")), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
}

// Two days of one token, three weeks apart: nothing between them is a gap, nothing is bought unasked or above the caps, and what is
// bought are the two days.
func TestGapsAreOnlyWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401"}}})
	h.worker(t)
	tokens := tradingTokens(t, 2)
	token := tokens[0]
	for _, day := range [][2]string{{"2025-03-01", "2025-03-02"}, {"2025-03-22", "2025-03-23"}} {
		require.Equal(t, exitRunFailed, h.run(t, "ingestion", "ohlcv", "--token", token.Address, "--from", day[0], "--to", day[1], "--wait").code)
	}
	h.market.SetFaults(nil)
	of := func(day candle.Range) gap {
		return gap{token, day, 1440, coverage.FailedToFetch, "failed", []uuid.UUID{}}
	}
	first, last := of(days(t, "2025-03-01", "2025-03-02")), of(days(t, "2025-03-22", "2025-03-23"))
	require.Equal(t, []gap{first, last}, h.gaps(t))
	covered := h.covered(t)[0]
	require.Equal(t, candle.Range{From: first.Range.From, To: last.Range.To}, covered.Range)
	require.EqualValues(t, 20*1440, covered.Candles[coverage.NeverAsked])
	require.EqualValues(t, 2*1440, covered.Stale, "what gaps lists")
	require.Equal(t, []gap{last}, h.gaps(t, "--run", h.latest(t)[:20]), "what that run asked for")
	require.Len(t, h.gaps(t, "--from", "2025-03-01", "--to", "2025-03-23"), 3, "a range that is given is wanted whole")
	require.Equal(t, []gap{first}, h.gaps(t, "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens[:1])))
	require.Empty(t, h.gaps(t, "--tokens", writeTokens(t, tokens[1:])))
	h.checkNothingIsBoughtUnasked(t, token)

	before := h.asked()
	answered := h.runWithInput(t, "y\n", "ohlcv", "gaps", "--fetch", "--wait", "--max-calls", "2", "--max-credits", "180", "--tokens", writeTokens(t, tokens))
	require.Zero(t, answered.code, answered.stderr)
	require.Contains(t, answered.stdout, "api      2 calls, 180 credits")
	require.Contains(t, answered.stderr, "Fetch them? [y/N]")
	require.EqualValues(t, 2, h.asked()-before, "counted by the service")
	require.Contains(t, h.ok(t, "ohlcv", "gaps").stdout, "No gaps.")
	market := simmarket.NewMarket(1)
	require.EqualValues(t, truth(market, tokens[:1], first.Range)+truth(market, tokens[:1], last.Range), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
	require.EqualValues(t, 2*1440, h.number(t, "SELECT sum(dateDiff('minute', range_from, range_to)) FROM "+h.table("ohlcv_ingestion_tasks")+
		" WHERE status = 'success'"), "two days and nothing between them")
}

func (h *harness) checkNothingIsBoughtUnasked(t *testing.T, token candle.Token) {
	t.Helper()
	before, runs := h.asked(), h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs"))
	var e estimate
	require.NoError(t, json.Unmarshal([]byte(h.ok(t, "ohlcv", "gaps", "--fetch", "--dry-run", "--format", "json").stdout), &e))
	require.Equal(t, estimate{Interval: candle.Interval1m, LeftOut: []leftOut{}, Chunks: 2, Tokens: 1, Candles: 2 * 1440, APICalls: 2, Credits: 180, CallsPerSecond: 500, DurationSeconds: 2.0 / 500}, e)
	for why, refused := range map[string]result{
		"above --max-calls 1":     h.run(t, "ohlcv", "gaps", "--fetch", "--yes", "--max-calls", "1"),
		"above --max-credits 179": h.run(t, "ohlcv", "gaps", "--fetch", "--yes", "--max-credits", "179"),
		"give --yes":              h.run(t, "ohlcv", "gaps", "--fetch"),
		"nothing was done":        h.runWithInput(t, "n\n", "ohlcv", "gaps", "--fetch"),
	} {
		require.Equal(t, exitRefused, refused.code, why)
		require.Contains(t, refused.stderr, why)
	}
	require.Equal(t, exitUsage, h.runWithInput(t, token.Address, "ohlcv", "gaps", "--fetch", "--tokens", "-").code)
	require.Equal(t, before, h.asked())
	require.Equal(t, runs, h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs")))
}

// The calls of a file narrow gaps to their tokens; the advice after a rollback holds at any interval and validation.
func TestGapsOfAWorklistAndOfARun(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.worker(t)
	tokens := tradingTokens(t, 2)
	file := filepath.Join(t.TempDir(), "calls.duckdb")
	call := worklist.Call{Token: tokens[1], AtMS: 1_000 * unix(t, "2025-03-01T12:00:00Z")}
	require.NoError(t, worklist.WriteSample(t.Context(), file, []worklist.Call{call}))
	input := []string{
		"ingestion", "ohlcv", "--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02", "--interval", "1h", "--validation", "strict", "--wait",
		"--format", "json",
	}
	undone := fmt.Sprint(row(t, h.ok(t, input...).stdout)["run_id"])
	h.ok(t, "ohlcv", "runs-rollback", undone, "--yes")
	strict := []string{"--interval", "1h", "--validation", "strict"}
	require.Len(t, h.gaps(t, strict...), 2)
	require.Len(t, h.gaps(t, "--run", undone), 2)
	for _, more := range [][]string{nil, {"--from", "2025-03-01", "--to", "2025-03-02"}} {
		only := h.gaps(t, append(append([]string{"--duckdb", file}, strict...), more...)...)
		require.Len(t, only, 1)
		require.Equal(t, tokens[1], only[0].Token)
	}
	require.Empty(t, h.gaps(t, append([]string{"--duckdb", file, "--from", "2025-02-01", "--to", "2025-02-02"}, strict...)...), "no call in these days")
	h.fetchesAll(t, 2, "--run", undone)
	require.Empty(t, h.gaps(t, strict...))
	for flag, value := range map[string]string{"--interval": "1m", "--validation": "lenient", "--source": "geckoterminal", "--outliers": "filter"} {
		r := h.run(t, "ohlcv", "gaps", "--run", undone, flag, value)
		require.Equal(t, exitUsage, r.code)
		require.Contains(t, r.stderr, "--run has the "+flag+" of the run: leave the flag out")
	}
	for _, wrong := range [][]string{{"--yes"}, {"--dry-run"}, {"--max-calls", "2"}, {"--fetch", "--max-calls", "-1"}, {"--duckdb", file, "--tokens", file}, {"--calls-query", "SELECT 1"}, {"--run", "nonsense"}, {"--duckdb", file, "--side", "bye"}, {"--side", "sell"}} {
		require.Equal(t, exitUsage, h.run(t, append([]string{"ohlcv", "gaps"}, wrong...)...).code, wrong)
	}
}

// A listing is for a screen; what is fetched is not cut to it.
func TestGapsOfManyTokensAreAllFetched(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "ingestion", "ohlcv", "--tokens", writeTokens(t, simmarket.Tokens(1_001)), "--from", "2025-03-01", "--to", "2025-03-02", "--interval", "1d")
	h.ok(t, "ohlcv", "runs-cancel", h.latest(t))
	shown := h.ok(t, "ohlcv", "gaps", "--interval", "1d", "--format", "json")
	require.Contains(t, shown.stderr, "showing 1000 of 1001 tokens (--limit)")
	for limit, want := range map[string]int{"": 1_001, "10": 10} {
		fetch := []string{"ohlcv", "gaps", "--interval", "1d", "--fetch", "--dry-run", "--format", "json"}
		if limit != "" {
			fetch = append(fetch, "--limit", limit)
		}
		require.EqualValues(t, want, row(t, h.ok(t, fetch...).stdout)["tokens"])
	}
}

// A pipe that stays open answers nothing: it is not waited for.
func TestWithoutATerminalNobodyIsAsked(t *testing.T) {
	t.Parallel()
	in, out, err := os.Pipe()
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, in.Close()); require.NoError(t, out.Close()) })
	a := &app{stdin: in, stderr: io.Discard}
	require.ErrorContains(t, a.confirmSpending(t.Context(), false), "give --yes")
	require.NoError(t, a.confirmSpending(t.Context(), true))
}

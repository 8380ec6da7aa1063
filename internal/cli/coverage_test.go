package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
	"quantbot/internal/publicjson"
	"quantbot/internal/simmarket"
)

func (h *harness) asked() (calls int64) {
	for _, n := range h.market.Stats().ByStatus {
		calls += n
	}
	return calls
}

// The second run of the same input asks for nothing, a longer one only for what is new, and after a rollback everything
// is asked for again; a dry run says all of it before, and its numbers are the run's.
func TestARunFetchesOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.worker(t)
	h.ok(t, "migrate")
	tokens := tradingTokens(t, 3)
	list := writeTokens(t, tokens)
	input := func(to string, more ...string) []string {
		return append([]string{"ingestion", "ohlcv", "--tokens", list, "--from", "2025-03-01", "--to", to, "--format", "json"}, more...)
	}
	dry := func(to string, more ...string) (e estimate) {
		require.NoError(t, json.Unmarshal([]byte(h.ok(t, input(to, append(more, "--dry-run")...)...).stdout), &e))
		return e
	}
	whole := dry("2025-03-02")
	require.Equal(t, estimate{Interval: candle.Interval1m, LeftOut: []leftOut{}, Chunks: 3, Tokens: 3, Candles: 3 * 1440, APICalls: 3, Credits: 3 * 90, CallsPerSecond: 500, DurationSeconds: 3.0 / 500}, whole)
	require.Zero(t, h.asked(), "a dry run asks nobody")
	refused := h.run(t, input("2025-03-02", "--max-calls", "2", "--wait")...)
	require.Equal(t, exitRefused, refused.code)
	require.Contains(t, refused.stderr, "3 API calls")
	require.Equal(t, exitRefused, h.run(t, input("2025-03-02", "--max-credits", "269", "--wait")...).code)

	first := row(t, h.ok(t, input("2025-03-02", "--wait", "--max-calls", "3")...).stdout)
	require.EqualValues(t, whole.APICalls, first["api_calls"])
	require.EqualValues(t, whole.Credits, first["credits"])
	require.EqualValues(t, 3, h.asked())

	again := h.ok(t, input("2025-03-02", "--wait")...)
	require.EqualValues(t, 0, row(t, again.stdout)["api_calls"])
	require.Equal(t, "completed", row(t, again.stdout)["status"])
	require.Equal(t, "2025-03-01T00:00:00Z", row(t, again.stdout)["range_from"])
	require.Contains(t, again.stderr, "nothing to fetch\n")
	require.EqualValues(t, 3, h.asked(), "a second identical run asks for nothing")

	longer := dry("2025-03-03")
	require.EqualValues(t, 3*1440, longer.Candles)
	require.EqualValues(t, 3*1440, longer.CoveredCandles)
	require.Positive(t, longer.SavedCredits)
	require.EqualValues(t, 2*3*1440, dry("2025-03-03", "--no-resume").Candles)
	require.EqualValues(t, 3*1440, dry("2025-03-02", "--validation", "strict").Candles, "another validation has its own coverage")

	preview := h.ok(t, "ohlcv", "runs-rollback", fmt.Sprint(first["run_id"]), "--dry-run").stdout
	require.Contains(t, preview, "4320 candles not fetched by run "+fmt.Sprint(row(t, again.stdout)["run_id"]))
	h.ok(t, "ohlcv", "runs-rollback", fmt.Sprint(first["run_id"]), "--yes")
	require.Equal(t, whole, dry("2025-03-02"))
	h.ok(t, "ohlcv", "runs-restore", fmt.Sprint(first["run_id"]))
	require.Zero(t, dry("2025-03-02").Chunks)
}

// tradingTokens have candles on 1 March 2025.
func tradingTokens(t *testing.T, n int) (tokens []candle.Token) {
	t.Helper()
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	for _, token := range simmarket.Tokens(100) {
		if truth(simmarket.NewMarket(1), []candle.Token{token}, day) > 0 && len(tokens) < n {
			tokens = append(tokens, token)
		}
	}
	require.Len(t, tokens, n)
	return tokens
}

// A token that failed is a gap until gaps --fetch has filled it.
func TestGapsAreShownAndFetched(t *testing.T) {
	t.Parallel()
	tokens := tradingTokens(t, 3)
	bad := tokens[1]
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: bad.Address}}})
	h.worker(t)
	r := h.run(t, "ingestion", "ohlcv", "--tokens", writeTokens(t, tokens), "--from", "2025-03-01", "--to", "2025-03-02", "--wait")
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	var gaps []gap
	require.NoError(t, publicjson.Unmarshal([]byte(h.ok(t, "ohlcv", "gaps", "--format", "json").stdout), &gaps))
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	require.Equal(t, []gap{{bad, day, 1440, coverage.FailedToFetch, "failed", []uuid.UUID{}}}, gaps)
	require.Contains(t, h.ok(t, "ohlcv", "gaps").stdout, bad.Address)
	require.Contains(t, h.ok(t, "ohlcv", "coverage").stdout, "xxxxxxxx")

	var covered []tokenVerdicts
	require.NoError(t, publicjson.Unmarshal([]byte(h.ok(t, "ohlcv", "coverage", "--format", "json", "--token", tokens[0].Address).stdout), &covered))
	have := truth(simmarket.NewMarket(1), tokens[:1], day)
	require.Equal(t, have, covered[0].Candles[coverage.Have])
	require.Equal(t, 1440-have, covered[0].Candles[coverage.ConfirmedEmpty])
	require.Equal(t, exitUsage, h.run(t, "ohlcv", "coverage", "--source", "nasdaq").code)
	require.Contains(t, h.ok(t, "ohlcv", "gaps", "--source", "binance").stderr, "left out: 3 tokens of which binance has no 1m candles")
	require.Contains(t, h.ok(t, "ohlcv", "gaps", "--source", "geckoterminal").stderr, "left out: 3 tokens for which geckoterminal was never asked for 1m candles")

	h.market.SetFaults(nil)
	h.ok(t, "ohlcv", "gaps", "--fetch", "--yes", "--wait")
	require.Contains(t, h.ok(t, "ohlcv", "gaps").stdout, "No gaps.")
	require.EqualValues(t, truth(simmarket.NewMarket(1), tokens, day), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
}

// The source does not know one of the tokens; a fallback does. What it gives says where it is from, and covers.
func TestAFallbackFillsWhatTheSourceLacks(t *testing.T) {
	t.Parallel()
	tokens := tradingTokens(t, 2)
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "401", Token: tokens[1].Address}}})
	other := setup(t, simmarket.Options{})
	h.vars["GECKOTERMINAL_BASE_URL"], h.vars["GECKOTERMINAL_RPM"] = other.vars["BIRDEYE_BASE_URL"]+"/api/v2", "6000"
	h.worker(t)
	now := time.Now().UTC().Truncate(24 * time.Hour)
	input := []string{
		"ingestion", "ohlcv", "--tokens", writeTokens(t, tokens), "--from", now.AddDate(0, 0, -3).Format(time.DateOnly), "--to", now.AddDate(0, 0, -2).Format(time.DateOnly),
		"--fallback", "geckoterminal", "--wait", "--format", "json",
	}
	require.Equal(t, "completed", row(t, h.ok(t, input...).stdout)["status"])
	day := candle.Range{From: now.AddDate(0, 0, -3).Unix(), To: now.AddDate(0, 0, -2).Unix()}
	for token, want := range map[candle.Token]string{tokens[0]: "birdeye\t2", tokens[1]: "geckoterminal\t1"} {
		if truth(simmarket.NewMarket(1), []candle.Token{token}, day) == 0 {
			continue // it does not trade any more
		}
		got := h.env.ClickHouse(t, fmt.Sprintf("SELECT DISTINCT source, source_tier FROM %s WHERE token_address = '%s'", h.table("ohlcv_candles"), token.Address))
		require.Equal(t, want, strings.TrimSpace(got))
	}
	require.EqualValues(t, 0, row(t, h.ok(t, input...).stdout)["api_calls"], "what the fallback answered covers as well")
	require.Equal(t, exitUsage, h.run(t, append(input, "--fallback", "nasdaq")...).code)
}

// Several pages, with holes that earlier runs left: the calls that the service counts are the fewest in which it can tell
// everything of each missing range, and another run takes none.
func TestCallsAreTheFewestPossible(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.worker(t)
	tokens := simmarket.Tokens(12) // some are not born, some are dead
	list := writeTokens(t, tokens)
	input := func(from, to string) []string {
		return []string{"ingestion", "ohlcv", "--tokens", list, "--from", from, "--to", to, "--wait", "--format", "json"}
	}
	h.ok(t, input("2025-03-05", "2025-03-07")...)
	h.ok(t, input("2025-03-10T03:00", "2025-03-10T03:07")...)
	before := h.asked()
	last := row(t, h.ok(t, input("2025-03-01", "2025-03-13")...).stdout)

	const page = 5_000
	market, fewest := simmarket.NewMarket(1), int64(0)
	for _, token := range tokens {
		for _, missing := range []candle.Range{
			{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-05T00:00:00Z")},
			{From: unix(t, "2025-03-07T00:00:00Z"), To: unix(t, "2025-03-10T03:00:00Z")},
			{From: unix(t, "2025-03-10T03:07:00Z"), To: unix(t, "2025-03-13T00:00:00Z")},
		} {
			found := int64(len(market.Candles(token, candle.Interval1m, missing)))
			fewest += found/page + 1
			if found > 0 && found%page == 0 && market.Candles(token, candle.Interval1m, missing)[found-1].OpenTime+60 == missing.To {
				fewest-- // the last page ends with the range
			}
		}
	}
	require.Equal(t, fewest, h.asked()-before, "counted by the service")
	require.EqualValues(t, fewest, last["api_calls"])
	again := row(t, h.ok(t, input("2025-03-01", "2025-03-13")...).stdout)
	require.EqualValues(t, 0, again["api_calls"])
	require.Equal(t, before+fewest, h.asked())
}

// What a source does not have is never missing of it, and what another one answered was asked for.
func TestGapsKeepToWhatASourceHas(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.vars["BINANCE_BASE_URL"], h.vars["BINANCE_DUMP_URL"] = h.vars["BIRDEYE_BASE_URL"], h.vars["BIRDEYE_BASE_URL"]
	h.worker(t)
	tokens := tradingTokens(t, 1)
	symbol := candle.Token{Chain: candle.BinanceSpot, Address: "BTCUSDT"}
	fetch := func(more ...string) {
		h.ok(t, append([]string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--wait"}, more...)...)
	}
	fetch("--token", tokens[0].Address)
	fetch("--token", symbol.String(), "--source", "binance")

	verdicts := func(more ...string) map[candle.Token]map[coverage.Verdict]int64 {
		var covered []tokenVerdicts
		require.NoError(t, publicjson.Unmarshal([]byte(h.ok(t, append([]string{"ohlcv", "coverage", "--format", "json"}, more...)...).stdout), &covered))
		all := map[candle.Token]map[coverage.Verdict]int64{}
		for _, c := range covered {
			all[c.Token] = c.Candles
		}
		return all
	}
	all := verdicts()
	require.Len(t, all, 2)
	for token, counts := range all {
		require.Zero(t, counts[coverage.NeverAsked], "%s: %v", token, counts)
	}
	require.Positive(t, all[symbol][coverage.Have])
	days := []string{"--from", "2025-03-01", "--to", "2025-03-03"}
	require.NotContains(t, verdicts(append(days, "--source", "birdeye")...), symbol, "birdeye has no symbols")
	require.Contains(t, verdicts(days...), symbol)

	gaps := h.ok(t, append([]string{"ohlcv", "gaps", "--fetch", "--yes", "--wait", "--format", "json"}, days...)...)
	require.Contains(t, gaps.stderr, "not asked for: 1 token of which birdeye has no 1m candles")
	require.EqualValues(t, 0, row(t, gaps.stdout)["errors_count"])
	require.EqualValues(t, 1, row(t, gaps.stdout)["planned_chunks"], gaps.stdout)
	require.NotContains(t, verdicts(days...)[tokens[0]], coverage.NeverAsked)
	require.Equal(t, "binance", fmt.Sprint(row(t, h.ok(t, append([]string{"ohlcv", "gaps", "--fetch", "--yes", "--wait", "--format", "json"}, days...)...).stdout)["source"]), "the source that has what is left")
	require.Contains(t, h.ok(t, append([]string{"ohlcv", "gaps"}, days...)...).stdout, "No gaps.")
}

// Answers with and without outliers are not the same; what was answered before runs said which counts as kept.
func TestOutliersAreAskedForAndKeptApart(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.worker(t)
	token := tradingTokens(t, 1)[0].Address
	input := func(more ...string) map[string]any {
		return row(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--token", token, "--from", "2025-03-01", "--to", "2025-03-02", "--wait", "--format", "json"}, more...)...).stdout)
	}
	kept := input()
	require.EqualValues(t, 1, kept["api_calls"])
	require.EqualValues(t, 1, input("--outliers", "filter")["api_calls"], "the other kind of answer")
	require.EqualValues(t, 0, input("--outliers", "filter")["api_calls"])
	require.EqualValues(t, 0, input("--outliers", "keep")["api_calls"])
	require.Equal(t, exitUsage, h.run(t, "ingestion", "ohlcv", "--source", "binance", "--token", "binance-spot:BTCUSDT", "--from", "2025-03-01", "--to", "2025-03-02", "--outliers", "filter").code)
	require.Equal(t, "filter\nkeep\n", h.env.ClickHouse(t, "SELECT DISTINCT outliers FROM "+h.table("ohlcv_ingestion_runs")+" ORDER BY outliers"))

	h.env.ClickHouse(t, fmt.Sprintf("ALTER TABLE %s UPDATE outliers = '' WHERE run_id = '%s' SETTINGS mutations_sync = 2", h.table("ohlcv_run_lifecycle"), kept["run_id"]))
	h.ok(t, "ohlcv", "runs-rollback", h.latest(t), "--yes") // relies on the first
	require.EqualValues(t, 0, input("--force")["api_calls"], "nothing that was paid for is bought again")
	covered := h.ok(t, "ohlcv", "coverage", "--format", "json")
	require.Contains(t, covered.stdout, `"vendor_default": 1440`)
	require.Contains(t, covered.stderr, "1440 candles were answered before runs said what to do with outliers")
	require.NotContains(t, h.ok(t, "ohlcv", "coverage", "--outliers", "filter").stderr, "1440 candles")
}

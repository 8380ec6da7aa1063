package cli

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
)

// trading are tokens that trade on both days.
func trading(t *testing.T, n int, days ...candle.Range) (tokens []candle.Token) {
	t.Helper()
	market := simmarket.NewMarket(1)
	for _, token := range simmarket.Tokens(50) {
		trades := true
		for _, day := range days {
			trades = trades && truth(market, []candle.Token{token}, day) > 0
		}
		if trades && len(tokens) < n {
			tokens = append(tokens, token)
		}
	}
	require.Len(t, tokens, n)
	return tokens
}

// launched starts a run that nobody works on yet.
func (h *harness) launched(t *testing.T, args ...string) (id string, r result) {
	t.Helper()
	r = h.ok(t, append([]string{"ingestion", "ohlcv", "--format", "json"}, args...)...)
	return fmt.Sprint(row(t, r.stdout)["run_id"]), r
}

// ended waits for the end of a run.
func (h *harness) ended(t *testing.T, id, status string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return row(t, h.ok(t, "ohlcv", "runs-details", id, "--format", "json").stdout)["status"] == status
	}, 2*time.Minute, 100*time.Millisecond)
}

// A command of relative times asks for another range each second; while its run lives it is refused all the same.
func TestTheSameCommandASecondLaterIsRefused(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	command := []string{"ingestion", "ohlcv", "--from", "-2d", "--to", "now", "--interval", "1h", "--tokens", writeTokens(t, simmarket.Tokens(3))}
	first, _ := h.launched(t, command[2:]...)
	launched := time.Now().Unix()
	require.Eventually(t, func() bool { return time.Now().Unix() > launched }, 2*time.Minute, 10*time.Millisecond)
	again := h.run(t, command...)
	require.Equal(t, exitRefused, again.code, again.stderr)
	require.Contains(t, again.stderr, "run "+first+" with the same input is still running")
	require.EqualValues(t, 1, h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs")))

	h.worker(t)
	h.ended(t, first, "completed")
	require.EqualValues(t, 3, h.market.Stats().Requests, "what was refused was not bought")
	h.ok(t, append(command, "--wait")...)

	held, _ := h.launched(t, "--from", "-3d", "--to", "-2d", "--interval", "5m", "--token", simmarket.Tokens(9)[8].Address, "--priority", "low")
	forced, _ := h.launched(t, "--from", "-3d", "--to", "-2d", "--interval", "5m", "--token", simmarket.Tokens(9)[8].Address, "--priority", "low", "--force")
	h.ended(t, held, "completed")
	h.ended(t, forced, "completed")
}

// Of two requests that overlap, what the first has yet to fetch is bought once, whichever ends first, and is the first's.
func TestWhatALiveRunFetchesIsBoughtOnce(t *testing.T) {
	t.Parallel()
	one := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	both := candle.Range{From: one.From, To: unix(t, "2025-03-03T00:00:00Z")}
	tokens := trading(t, 3, one, candle.Range{From: one.To, To: both.To})
	market := simmarket.NewMarket(1)
	h := setup(t, simmarket.Options{})
	days := []string{"--from", "2025-03-01", "--to", "2025-03-03", "--tokens", writeTokens(t, tokens[1:])}
	first, _ := h.launched(t, "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", writeTokens(t, tokens[:2]))

	dry := row(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--dry-run", "--format", "json"}, days...)...).stdout)
	require.Equal(t, []any{map[string]any{"run_id": first, "candles": 1440.0, "tokens": 1.0}}, dry["being_fetched"])
	require.EqualValues(t, 3*1440, dry["candles"])
	said := fmt.Sprintf("1440 candles of 1 token are being fetched by run %s", first)
	require.Contains(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--dry-run"}, days...)...).stdout, said+", and would be left out\n")
	for _, off := range []string{"--force", "--no-resume"} {
		whole := row(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--dry-run", "--format", "json", off}, days...)...).stdout)
		require.EqualValues(t, 4*1440, whole["candles"], off)
		require.Empty(t, whole["being_fetched"])
	}

	second, r := h.launched(t, days...)
	require.Contains(t, r.stderr, said+": left out (--force fetches them, too)\n")
	h.worker(t)
	h.ended(t, first, "completed")
	h.ended(t, second, "completed")
	require.EqualValues(t, 4, h.market.Stats().Requests)
	require.Equal(t, map[string]int64{tokens[0].Address: 1, tokens[1].Address: 2, tokens[2].Address: 1}, h.market.Stats().ByToken)
	ran := row(t, h.ok(t, "ohlcv", "runs-details", second, "--format", "json").stdout)
	own := truth(market, tokens[1:2], candle.Range{From: one.To, To: both.To}) + truth(market, tokens[2:], both)
	require.EqualValues(t, own, ran["candles_inserted"], "what was left to the other is not its own")
	require.Equal(t, own+truth(market, tokens[:2], one), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candle_versions")))

	preview := row(t, h.ok(t, "ohlcv", "runs-rollback", first, "--dry-run", "--format", "json").stdout)
	require.Equal(t, []any{map[string]any{"run_id": second, "candles": 1440.0}}, preview["runs_relying"])
	h.ok(t, "ohlcv", "runs-rollback", first, "--yes")
	due := row(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--dry-run", "--format", "json"}, days...)...).stdout)
	require.EqualValues(t, 1440, due["candles"], "rolled back is not covered")
}

// With --wait the command ends when what was left to the other is there.
func TestWaitEndsWhenTheOthersPartIsThere(t *testing.T) {
	t.Parallel()
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	tokens := trading(t, 2, day)
	h := setup(t, simmarket.Options{Faults: []simmarket.Fault{{Kind: "slow", Token: tokens[0].Address, Delay: 3 * time.Second}}})
	span := []string{"--from", "2025-03-01", "--to", "2025-03-02"}
	first, _ := h.launched(t, append(span, "--token", tokens[0].Address)...)
	h.worker(t)
	r := h.ok(t, append([]string{"ingestion", "ohlcv", "--wait", "--format", "json", "--tokens", writeTokens(t, tokens)}, span...)...)
	require.Equal(t, truth(simmarket.NewMarket(1), tokens, day), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
	require.EqualValues(t, 2, h.market.Stats().Requests)
	own := row(t, r.stdout)
	require.EqualValues(t, 1, own["planned_chunks"])
	require.Contains(t, r.stderr, fmt.Sprintf("run %s has ended; waiting for run %s, which fetches 1440 candles of 1 token for it\nrun %[2]s completed\n", own["run_id"], first))
}

// What a run was to fetch that is cancelled is missing, and the next run fetches it.
func TestWhatWasLeftToACancelledRunIsMissing(t *testing.T) {
	t.Parallel()
	day := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-02T00:00:00Z")}
	tokens := trading(t, 2, day)
	h := setup(t, simmarket.Options{})
	span := []string{"--from", "2025-03-01", "--to", "2025-03-02"}
	first, _ := h.launched(t, append(span, "--token", tokens[0].Address)...)
	list := append(span, "--tokens", writeTokens(t, tokens))
	waiting := make(chan result)
	go func() { waiting <- h.run(t, append([]string{"ingestion", "ohlcv", "--wait"}, list...)...) }()
	require.Eventually(t, func() bool {
		return h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs")) == 2
	}, 2*time.Minute, 100*time.Millisecond)
	h.ok(t, "ohlcv", "runs-cancel", first)
	h.worker(t)
	r := <-waiting
	require.Equal(t, exitRunFailed, r.code, r.stderr)
	require.Contains(t, r.stderr, fmt.Sprintf("run %s cancelled without 1440 of the 1440 candles that were left to it: start the same command again", first))
	require.EqualValues(t, 1, h.market.Stats().Requests)

	third := row(t, h.ok(t, append([]string{"ingestion", "ohlcv", "--wait", "--format", "json"}, list...)...).stdout)
	require.EqualValues(t, 1, third["planned_chunks"], "only what was left to the cancelled run")
	require.Equal(t, truth(simmarket.NewMarket(1), tokens, day), h.number(t, "SELECT count() FROM "+h.table("ohlcv_candles")))
	require.EqualValues(t, 2, h.market.Stats().Requests)
}

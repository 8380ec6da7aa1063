package cli

import (
	"fmt"
	"log/slog"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/coverage"
	"quantbot/internal/secret"
	"quantbot/internal/simmarket"
)

// R8: while the service refuses, fails, cuts, blanks and empties its answers and workers are killed, no moment is ever
// called covered that the market itself does not remember to have answered, and no candle is there that it does not have.
func TestNothingIsCalledCoveredThatWasNotAnswered(t *testing.T) {
	t.Parallel()
	tokens := simmarket.Tokens(40)
	silenced := tradingTokens(t, 1)[0] // its answers are always empty, though it trades
	faults := []simmarket.Fault{
		{Kind: "empty", Token: silenced.Address}, {Kind: "500", Token: tokens[39].Address}, {Kind: "401", Token: tokens[38].Address},
		{Kind: "429", Every: 23, RetryAfter: 1},
	}
	for i, token := range tokens { // per token, so that the service answers the question whether it answers anybody
		faults = append(faults, simmarket.Fault{Kind: []string{"500", "521", "cut", "blank"}[i%4], Token: token.Address, Rate: 0.5})
	}
	h := setup(t, simmarket.Options{Faults: faults, Latency: 20 * time.Millisecond})
	h.vars["BIRDEYE_RPS"] = "100"
	h.ok(t, "migrate")
	history := h.history(t)
	list := writeTokens(t, tokens)
	checked := claims{}
	began := time.Now()
	for day := 1; day <= 3; day++ {
		worker := h.worker(t)
		h.ok(t, "ingestion", "ohlcv", "--tokens", list, "--from", fmt.Sprintf("2025-03-%02d", day), "--to", fmt.Sprintf("2025-03-%02d", day+1))
		for range 6 {
			checked = h.checkClaims(t, history, tokens, silenced)
		}
		require.NoError(t, worker.Process.Signal(syscall.SIGKILL)) // in the middle of chunks
	}
	h.worker(t)
	for time.Since(began) < time.Minute && (checked.failed == 0 || checked.known < 50*1440 || checked.unconfirmed == 0) {
		checked = h.checkClaims(t, history, tokens, silenced)
	}
	require.Positive(t, checked.failed, "of the token that always fails")
	require.GreaterOrEqual(t, checked.unconfirmed, int64(1440), "of the token whose answers are empty")
	require.GreaterOrEqual(t, checked.known, int64(50*1440), "the test must not be about nothing")
}

func (h *harness) history(t *testing.T) *clickhouse.DB {
	t.Helper()
	port, err := strconv.Atoi(h.vars["CLICKHOUSE_PORT"])
	require.NoError(t, err)
	history, err := clickhouse.Open(t.Context(), clickhouse.Config{
		Host: h.vars["CLICKHOUSE_HOST"], Port: port, Database: h.vars["CLICKHOUSE_DATABASE"], User: h.vars["CLICKHOUSE_USER"], Password: secret.Text(h.vars["CLICKHOUSE_PASSWORD"]),
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, history.Close()) })
	return history
}

// claims counts candles by what is said of them.
type claims struct{ known, unconfirmed, failed int64 }

// checkClaims holds everything that is said of the tokens against what the market remembers.
func (h *harness) checkClaims(t *testing.T, history *clickhouse.DB, tokens []candle.Token, silenced candle.Token) (found claims) {
	t.Helper()
	days := candle.Range{From: unix(t, "2025-03-01T00:00:00Z"), To: unix(t, "2025-03-04T00:00:00Z")}
	q := backfill.CoverageQuery{Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: days, Tokens: tokens}
	market := simmarket.NewMarket(1)
	require.NoError(t, report.New(history).TokenHistories(t.Context(), q, func(known coverage.TokenHistory) error {
		answered := h.market.Answered(known.Token, candle.Interval1m) // after the claim: it only grows
		for _, judged := range known.Judge(days, coverage.Moment{Now: time.Now()}) {
			switch judged.Verdict {
			case coverage.Have:
				require.Len(t, market.Candles(known.Token, candle.Interval1m, judged.Range), int(judged.Candles), "%s has %v", known.Token, judged.Range)
				found.known += judged.Candles
			case coverage.ConfirmedEmpty:
				require.Empty(t, market.Candles(known.Token, candle.Interval1m, judged.Range), "%s is not empty in %v", known.Token, judged.Range)
				require.Empty(t, candle.Subtract([]candle.Range{judged.Range}, answered), "%s was not answered in %v", known.Token, judged.Range)
				found.known += judged.Candles
			case coverage.Unconfirmed:
				if known.Token != silenced {
					require.Empty(t, candle.Subtract([]candle.Range{judged.Range}, answered), "%s was not answered in %v", known.Token, judged.Range)
				}
				found.unconfirmed += judged.Candles
			case coverage.FailedToFetch:
				found.failed += judged.Candles
			case coverage.RejectedCandle, coverage.NeverAsked:
			}
			require.True(t, known.Token != silenced || judged.Verdict != coverage.ConfirmedEmpty, "silence of a token that never had a candle confirms nothing")
			if !judged.Stale && judged.Verdict != coverage.Unconfirmed {
				require.Empty(t, candle.Subtract([]candle.Range{judged.Range}, answered), "%s would not be asked for %v again", known.Token, judged.Range)
			}
		}
		return nil
	}))
	return found
}

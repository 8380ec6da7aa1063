package backfill

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
)

func failed(address, reason string) Outcome {
	token := candle.Token{Chain: candle.Solana, Address: address}
	return Outcome{ChunkID: ChunkID(address), Token: token, Status: OutcomeFailed, Error: "fetch " + token.String() + " 1m [a, b) from x: " + reason}
}

func TestRunTotalsAddUp(t *testing.T) {
	t.Parallel()
	totals := newRunTotals(Run{Attempt: 1}, time.Unix(1, 0))
	for range 2 {
		totals.add(Outcome{Status: OutcomeSuccess, Token: testToken, Stats: Stats{Fetched: 5, Inserted: 3, Rejected: 1, Deduplicated: 1, Skipped: 1}})
	}
	totals.add(Outcome{Status: OutcomeSuccess, Token: testToken, Unrecorded: true})
	totals.close(LedgerState{})
	require.Equal(t, StatusCompleted, totals.record.Status)
	require.Equal(t, Stats{Fetched: 10, Inserted: 6, Rejected: 2, Deduplicated: 2, Skipped: 2}, totals.record.Stats)
	require.Equal(t, 1, totals.record.TokensProcessed)
	require.Len(t, totals.unrecorded, 1)
	require.False(t, totals.unrecorded[0].Unrecorded, "once written, the row says so")
}

func TestRunTotalsGroupFailures(t *testing.T) {
	t.Parallel()
	totals := newRunTotals(Run{Attempt: 1}, time.Unix(1, 0))
	for _, o := range []Outcome{failed("b", "HTTP 500"), failed("a", "HTTP 500"), failed("c", "HTTP 404"), {Status: OutcomeSuccess}} {
		totals.add(o)
	}
	totals.close(LedgerState{})
	require.Equal(t, StatusFailed, totals.record.Status)
	require.Equal(t, 3, totals.record.FailedChunks)
	require.Equal(t, "2 chunks failed (solana:a and others): HTTP 500; 1 chunk failed (solana:c): HTTP 404", totals.record.ErrorMessage)
}

func TestCancelCountsOnlyWhenItCameInTime(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		outcomes []Outcome
		want     RunStatus
	}{
		"everything was done":  {[]Outcome{{Status: OutcomeSuccess}}, StatusCompleted},
		"something was not":    {[]Outcome{{Status: OutcomeSuccess}, {Status: OutcomeCancelled}}, StatusCancelled},
		"something had failed": {[]Outcome{failed("a", "x"), {Status: OutcomeCancelled}}, StatusCancelled},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			totals := newRunTotals(Run{}, time.Unix(1, 0))
			for _, o := range test.outcomes {
				totals.add(o)
			}
			totals.close(LedgerState{Cancelled: true})
			require.Equal(t, test.want, totals.record.Status)
		})
	}
}

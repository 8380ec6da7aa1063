package clickhouse

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

func TestRunsAreCompared(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	a := ranAndEnded(t, db, 0, minutes(5, 1))
	restated := append(minutes(3, 1), priced(day0+180, 1.5, 1), priced(day0+600, 1, 1))
	b := ranAndEnded(t, db, 1, restated)
	tokens, candles, err := report.New(db).DiffRuns(t.Context(), a.ID(), b.ID(), 10)
	require.NoError(t, err)
	require.Equal(t, []report.TokenDiff{{Token: token, Chain: "solana", Address: token.Address, OnlyA: 1, OnlyB: 1, Same: 3, Different: 1}}, tokens)
	require.Equal(t, []report.CandleDiff{{
		Token: token, Chain: "solana", Address: token.Address, Timestamp: time.Unix(day0+180, 0).UTC(),
		CloseA: 1, CloseB: 1.5, VolumeA: 1, VolumeB: 1, CloseChange: 0.5,
	}}, candles)

	waiting, err := report.New(db).Duplicates(t.Context())
	require.NoError(t, err)
	require.Equal(t, []report.DuplicateMonth{{Interval: "1m", Month: 202401, Candles: 6, Versions: 10}}, waiting)
}

func TestServedCandlesAreStreamedWithTheirOrigin(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	old := ranAndEnded(t, db, 0, minutes(3, 1))
	var between time.Time
	require.NoError(t, db.conn.QueryRow(t.Context(), "SELECT now64(6, 'UTC')").Scan(&between))
	require.Eventually(t, func() bool { return time.Since(between) > 2*time.Millisecond }, time.Second, time.Millisecond)
	next := ranAndEnded(t, db, 1, minutes(2, 2))
	read := func(s report.Selection) (closes []float64, runs []string) {
		s.Interval, s.Range = candle.Interval1m, candle.Range{From: 0, To: 1 << 32}
		require.NoError(t, report.New(db).Served(t.Context(), s, func(c *report.ServedCandle) error {
			require.Equal(t, token, c.Token)
			closes, runs = append(closes, c.Close), append(runs, c.RunID.String())
			return nil
		}))
		return closes, runs
	}
	closes, runs := read(report.Selection{})
	require.Equal(t, []float64{2, 2, 1}, closes)
	require.Equal(t, []string{next.ID().String(), next.ID().String(), old.ID().String()}, runs)
	closes, _ = read(report.Selection{Tokens: []candle.Token{token}})
	require.Len(t, closes, 3)
	closes, _ = read(report.Selection{Tokens: []candle.Token{{Chain: candle.Base, Address: token.Address}}})
	require.Empty(t, closes)
	closes, _ = read(report.Selection{AsOf: between})
	require.Equal(t, []float64{1, 1, 1}, closes)
}

package clickhouse

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/coverage"
)

func TestCoverageScopesAndPages(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	scopes, err := report.New(db).CoverageScopes(t.Context())
	require.NoError(t, err)
	require.Empty(t, scopes)
	everything := candle.Range{From: 0, To: 1 << 32}
	page, total, err := report.New(db).RequestedTokensPage(t.Context(), candle.Interval1m, everything, "", 2, 0)
	require.NoError(t, err)
	require.Empty(t, page)
	require.Zero(t, total)

	run := newRun(0)
	run.Manifest.Range.To, run.Manifest.Fallbacks = day0+2*86400, []string{"binance"}
	require.NoError(t, db.Started(t.Context(), run))
	require.NoError(t, db.Started(t.Context(), newRun(1)))
	var tokens []candle.Token
	var chunks []backfill.Chunk
	for i := range 5 {
		tokens = append(tokens, candle.Token{Chain: candle.Solana, Address: fmt.Sprintf("Mint%d", i)})
		for day := range 2 {
			from := day0 + int64(day)*86400
			chunks = append(chunks, backfill.NewChunk(tokens[i], candle.Interval1m, candle.Range{From: from, To: from + 86400}))
		}
	}
	require.NoError(t, db.Planned(t.Context(), run, chunks))
	require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{succeeded(chunks[0], backfill.Stats{}), failed(chunks[1], "no")}))

	scopes, err = report.New(db).CoverageScopes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []report.CoverageScope{{Interval: candle.Interval1m, Sources: []string{"binance", "birdeye"}, Range: candle.Range{From: day0, To: day0 + 2*86400}}}, scopes)
	for _, c := range []struct {
		text          string
		offset, total int
		want          []candle.Token
	}{
		{"", 0, 5, tokens[:2]},
		{"", 2, 5, tokens[2:4]},
		{"", 4, 5, tokens[4:]},
		{"", 6, 5, nil},
		{"mint3", 0, 1, tokens[3:4]},
		{"'; DROP TABLE x --", 0, 0, nil},
	} {
		page, total, err := report.New(db).RequestedTokensPage(t.Context(), candle.Interval1m, everything, c.text, 2, c.offset)
		require.NoError(t, err)
		require.Equal(t, c.want, page, "%+v", c)
		require.Equal(t, c.total, total, "%+v", c)
	}
	page, _, err = report.New(db).RequestedTokensPage(t.Context(), candle.Interval1m, candle.Range{From: day0 + 2*86400, To: day0 + 3*86400}, "", 2, 0)
	require.NoError(t, err)
	require.Empty(t, page, "nothing was asked for in this range")
}

// Several tokens of several chains are read at once, and none gets the stretches of another.
func TestHaveOfSeveralTokens(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	write := func(token candle.Token, opens ...int64) {
		w := newWrite(run, nil)
		w.Chunk = backfill.NewChunk(token, candle.Interval1m, candle.Range{From: day0, To: day0 + 86400})
		for _, open := range opens {
			w.Candles = append(w.Candles, priced(day0+60*open, 1, 1))
		}
		w.Outcome = succeeded(w.Chunk, backfill.Stats{Fetched: int64(len(opens)), Inserted: int64(len(opens))})
		mustWrite(t, db, w)
	}
	a, b := candle.Token{Chain: candle.Base, Address: "0xa"}, candle.Token{Chain: candle.Solana, Address: "0xa"}
	write(a, 0, 1, 2, 5)
	write(a, 2, 3)
	write(b, 7)
	stretches := map[candle.Token][]candle.Range{}
	q := backfill.CoverageQuery{Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: firstHour, Tokens: []candle.Token{a, b}}
	read := func() {
		clear(stretches)
		require.NoError(t, report.New(db).TokenHistories(t.Context(), q, func(h coverage.TokenHistory) error {
			if len(h.Have) > 0 {
				stretches[h.Token] = h.Have
			}
			return nil
		}))
	}
	read()
	minute := func(from, to int64) candle.Range { return candle.Range{From: day0 + 60*from, To: day0 + 60*to} }
	require.Equal(t, map[candle.Token][]candle.Range{a: {minute(0, 4), minute(5, 6)}, b: {minute(7, 8)}}, stretches)
	setVisible(t, db, run.ID(), 1, "rolled_back")
	read()
	require.Empty(t, stretches)
}

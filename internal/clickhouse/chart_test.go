package clickhouse

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

func TestTokenScopes(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	scopes, err := report.New(db).TokenScopes(t.Context(), token)
	require.NoError(t, err)
	require.Empty(t, scopes, "nobody asked for it")
	run := newRun(0)
	require.NoError(t, db.Planned(t.Context(), run, []backfill.Chunk{newChunk(run, 1)}))
	scopes, err = report.New(db).TokenScopes(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, []report.TokenScope{{Interval: candle.Interval1m, Asked: candle.Range{From: day0 + 86400, To: day0 + 2*86400}}}, scopes)
	mustWrite(t, db, newWrite(run, minutes(3, 1)))
	scopes, err = report.New(db).TokenScopes(t.Context(), token)
	require.NoError(t, err)
	require.Equal(t, []report.TokenScope{{Interval: candle.Interval1m, Asked: candle.Range{From: day0, To: day0 + 2*86400}, Stored: candle.Range{From: day0, To: day0 + 180}}}, scopes)
}

func TestChartInBuckets(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	price := func(i int64, open, high, low, closes, volume float64) candle.Candle {
		return candle.Candle{OpenTime: day0 + 60*i, Open: open, High: high, Low: low, Close: closes, Volume: volume, VolumeUSD: 2 * volume}
	}
	mustWrite(t, db, newWrite(newRun(0), []candle.Candle{price(0, 1, 3, 1, 2, 10), price(1, 2, 9, 2, 4, 20), price(4, 4, 5, 0.5, 5, 30), price(11, 7, 7, 7, 7, 0)}))
	mustWrite(t, db, newWrite(newRun(1), []candle.Candle{price(1, 2, 4, 2, 3, 5)}))
	q := report.ChartQuery{Token: token, Interval: candle.Interval1m, Range: firstHour, Bucket: 300}
	chart, err := report.New(db).Chart(t.Context(), q)
	require.NoError(t, err)
	require.Equal(t, []report.ChartCandle{
		{Candle: candle.Candle{OpenTime: day0, Open: 1, High: 5, Low: 0.5, Close: 5, Volume: 45, VolumeUSD: 90}, Candles: 3, Revised: 1, Quality: 122},
		{Candle: candle.Candle{OpenTime: day0 + 600, Open: 7, High: 7, Low: 7, Close: 7}, Candles: 1, Quality: 22},
	}, chart, "served candles only; an empty bucket is left out")
	q.Range, q.Bucket = candle.Range{From: day0 + 60, To: day0 + 120}, 60
	chart, err = report.New(db).Chart(t.Context(), q)
	require.NoError(t, err)
	require.Len(t, chart, 1)
	require.EqualValues(t, 3, chart[0].Close)
}

func TestVersionsAreInTheOrderOfServing(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	old, newer, empty, undone := newRun(0), newRun(1), newRun(2), newRun(3)
	mustWrite(t, db, newWrite(old, minutes(1, 1)))
	mustWrite(t, db, newWrite(newer, minutes(1, 2)))
	mustWrite(t, db, newWrite(newer, minutes(1, 2))) // a repeat is no version of its own
	mustWrite(t, db, newWrite(empty, []candle.Candle{priced(day0, 3, 0)}))
	mustWrite(t, db, newWrite(undone, minutes(1, 4)))
	for _, run := range []backfill.Run{newer, empty, undone} {
		end(t, db, run)
	}
	setVisible(t, db, undone.ID(), 1, "rolled_back")
	versions, err := report.New(db).Versions(t.Context(), token, candle.Interval1m, day0)
	require.NoError(t, err)
	var runs []uuid.UUID
	for i, v := range versions {
		runs = append(runs, v.RunID)
		require.Equal(t, i == 1, v.Served)
		require.Equal(t, v.RunID == undone.ID(), v.Hidden)
		require.Equal(t, v.RunID == old.ID(), v.RunStatus == "", "the history has no row of the old run yet")
	}
	require.Equal(t, []uuid.UUID{undone.ID(), newer.ID(), old.ID(), empty.ID()}, runs)
	require.Equal(t, served(t, db)[0], versions[1].Candle)
	require.Equal(t, newer.Manifest.StartedAt, versions[1].RunStarted)
	require.EqualValues(t, 122, versions[1].Quality)
	require.Equal(t, "birdeye", versions[1].Source)

	versions, err = report.New(db).Versions(t.Context(), token, candle.Interval1m, day0+60)
	require.NoError(t, err)
	require.Empty(t, versions)
}

func TestRejections(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	w := newWrite(newRun(0), nil)
	corrupt := candle.Candle{OpenTime: day0 + 307, Open: 1, High: 1, Low: 2, Close: 1}
	w.Rejected = []backfill.Rejection{{Candle: corrupt, Rule: candle.RuleInvalidRange}}
	mustWrite(t, db, w)
	found, err := report.New(db).Rejections(t.Context(), token, candle.Interval1m, day0+300)
	require.NoError(t, err)
	require.Len(t, found, 1, "also off the grid")
	require.Equal(t, candle.RuleInvalidRange, found[0].Rule)
	require.Equal(t, w.Run.ID(), found[0].RunID)
	require.EqualValues(t, 2, found[0].Candle.Low)
	found, err = report.New(db).Rejections(t.Context(), token, candle.Interval1m, day0+360)
	require.NoError(t, err)
	require.Empty(t, found)
}

func TestTokenChunks(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run, undone := newRun(0), newRun(1)
	chunks := []backfill.Chunk{newChunk(run, 0), newChunk(run, 1), newChunk(run, 2)}
	require.NoError(t, db.Planned(t.Context(), run, chunks))
	require.NoError(t, db.RecordOutcomes(t.Context(), run, []backfill.Outcome{failed(chunks[0], "no answer")}))
	retry := run
	retry.Attempt = 2
	ok := succeeded(chunks[0], backfill.Stats{Fetched: 6, Inserted: 3, Rejected: 1, Deduplicated: 2, Shadowed: 1, Skipped: 1})
	require.NoError(t, db.RecordOutcomes(t.Context(), retry, []backfill.Outcome{ok}))
	gone := failed(chunks[1], "gone")
	gone.EndedAt = ok.EndedAt.Add(time.Minute)
	require.NoError(t, db.RecordOutcomes(t.Context(), undone, []backfill.Outcome{gone}))
	setVisible(t, db, undone.ID(), 1, "rolled_back")
	q := report.TokenChunksQuery{Token: token, Interval: candle.Interval1m, Range: candle.Range{From: day0, To: day0 + 2*86400}}
	found, err := report.New(db).TokenChunks(t.Context(), q, 10)
	require.NoError(t, err)
	day := func(i int64) candle.Range { return candle.Range{From: day0 + i*86400, To: day0 + (i+1)*86400} }
	none, one := int64(0), int64(1)
	require.Equal(t, []report.TokenChunk{
		{RunID: undone.ID(), Attempt: 1, Range: day(1), Status: "failed", Source: "birdeye", Error: "gone", Shadowed: &none, Skipped: &none, EndedAt: &gone.EndedAt, RolledBack: true},
		{RunID: run.ID(), Attempt: 2, Range: day(0), Status: "success", Source: "birdeye", Fetched: 6, Inserted: 3, Rejected: 1, Deduplicated: 2, Shadowed: &one, Skipped: &one, EndedAt: &ok.EndedAt},
		{RunID: run.ID(), Attempt: 1, Range: day(1), Status: "planned", Shadowed: &none, Skipped: &none},
	}, found)
	found, err = report.New(db).TokenChunks(t.Context(), q, 1)
	require.NoError(t, err)
	require.Len(t, found, 1)
}

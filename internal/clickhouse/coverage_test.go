package clickhouse

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/coverage"
)

// asking is a run that has answered for the first n minutes of the day and stored these candles, or failed to.
func asking(t *testing.T, db *DB, after, n int, candles []candle.Candle, change func(*backfill.ChunkWrite)) backfill.Run {
	t.Helper()
	run := newRun(after)
	w := newWrite(run, candles)
	w.Chunk = backfill.NewChunk(token, candle.Interval1m, candle.Range{From: day0, To: day0 + int64(60*n)})
	w.Outcome = succeeded(w.Chunk, backfill.Stats{Fetched: int64(len(candles)), Inserted: int64(len(candles))})
	if change != nil {
		change(&w)
	}
	mustWrite(t, db, w)
	end(t, db, run)
	return run
}

var firstHour = candle.Range{From: day0, To: day0 + 3600}

func (db *DB) missing(t *testing.T, sources ...string) ([]candle.Range, map[uuid.UUID]int64) {
	t.Helper()
	wanted := []candle.TokenRanges{{Token: token, Ranges: []candle.Range{firstHour}}}
	coverage := coverage.NewFilter(wanted, candle.Interval1m, time.Now())
	q := backfill.CoverageQuery{Sources: sources, Validation: candle.Lenient, Interval: candle.Interval1m, Range: firstHour, Tokens: []candle.Token{token}}
	require.NoError(t, report.New(db).FillCoverage(t.Context(), q, coverage))
	missing := coverage.Missing()
	if len(missing) == 0 {
		return nil, coverage.Dependencies()
	}
	return missing[0].Ranges, coverage.Dependencies()
}

func TestAnswersCoverUntilTheirRunIsRolledBack(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	missing, _ := db.missing(t, "birdeye")
	require.Equal(t, []candle.Range{firstHour}, missing)
	first := asking(t, db, 0, 20, minutes(15, 1), nil)
	asking(t, db, 1, 60, nil, func(w *backfill.ChunkWrite) { w.Outcome = failed(w.Chunk, "HTTP 500") })
	rest := []candle.Range{{From: day0 + 1200, To: day0 + 3600}}
	missing, relied := db.missing(t, "birdeye")
	require.Equal(t, rest, missing, "five silent minutes are covered, a failure covers nothing")
	require.Equal(t, map[uuid.UUID]int64{first.ID(): 20}, relied)
	missing, _ = db.missing(t, "binance")
	require.Equal(t, []candle.Range{firstHour}, missing, "what one source said covers nothing of another")
	missing, _ = db.missing(t, "binance", "birdeye")
	require.Equal(t, rest, missing)

	later := newRun(9)
	require.NoError(t, db.Started(t.Context(), later))
	require.NoError(t, db.RecordDependencies(t.Context(), later.ID(), relied))
	preview, err := db.PreviewRollback(t.Context(), first.ID())
	require.NoError(t, err)
	require.Equal(t, []backfill.Dependency{{RunID: later.ID(), Candles: 20}}, preview.Dependents)
	require.NoError(t, db.RollBack(t.Context(), first.ID(), someone, false))
	missing, _ = db.missing(t, "birdeye")
	require.Equal(t, []candle.Range{firstHour}, missing)
	require.NoError(t, db.Restore(t.Context(), first.ID(), someone))
	missing, _ = db.missing(t, "birdeye")
	require.Equal(t, rest, missing)
}

// What proves little covers for a day: silence of a source that never had a candle of the token, and corrupt candles.
func TestWhatProvesLittleIsAskedForAgain(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	old := time.Now().Add(-2 * coverage.RecheckAfter).UTC()
	silent := asking(t, db, 0, 60, nil, nil)
	missing, _ := db.missing(t, "birdeye")
	require.Equal(t, []candle.Range{firstHour}, missing, "the outcomes of these tests are old")
	require.NoError(t, db.RollBack(t.Context(), silent.ID(), someone, false))

	corrupt := candle.Candle{OpenTime: day0 + 300, Open: 1, High: 1, Low: 2, Close: 1}
	strictly := candle.Candle{OpenTime: day0 + 600, Open: 1, High: 1, Low: 1, Close: 1}
	rejects := func(w *backfill.ChunkWrite) {
		w.Rejected = []backfill.Rejection{{Candle: corrupt, Rule: candle.RuleInvalidRange}, {Candle: strictly, Rule: candle.RuleZeroVolume}}
		w.Outcome.EndedAt = old
	}
	asking(t, db, 1, 60, minutes(4, 1), rejects)
	missing, _ = db.missing(t, "birdeye")
	require.Equal(t, []candle.Range{{From: day0 + 300, To: day0 + 360}}, missing)
	asking(t, db, 2, 60, minutes(4, 1), func(w *backfill.ChunkWrite) { rejects(w); w.Outcome.EndedAt = time.Now().UTC() })
	missing, _ = db.missing(t, "birdeye")
	require.Empty(t, missing, "asked again a moment ago")
}

// A forced rollback leaves gaps where versions were removed for the run's sake: nothing there may be called covered.
func TestAForcedRollbackUncovers(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	asking(t, db, 0, 60, minutes(15, 1), nil)
	better := asking(t, db, 1, 60, minutes(15, 2), nil)
	_, err := db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.NoError(t, db.RollBack(t.Context(), better.ID(), someone, true))
	require.Empty(t, served(t, db))
	missing, _ := db.missing(t, "birdeye")
	require.Equal(t, []candle.Range{firstHour}, missing)
}

func TestTokenHistories(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	hole := append(minutes(5, 1), minutes(12, 1)[8:]...)
	run := asking(t, db, 0, 20, hole, nil)
	none, err := report.New(db).RequestedTokens(t.Context(), candle.Interval1m, uuid.New())
	require.NoError(t, err)
	require.Empty(t, none)
	tokens, err := report.New(db).RequestedTokens(t.Context(), candle.Interval1m, run.ID())
	require.NoError(t, err)
	require.Equal(t, []candle.Token{token}, tokens)
	tokens, err = report.New(db).RequestedTokens(t.Context(), candle.Interval1m, uuid.Nil)
	require.NoError(t, err)
	require.Equal(t, []candle.Token{token}, tokens)
	q := backfill.CoverageQuery{Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: firstHour, Tokens: tokens}
	var judged []coverage.VerdictSpan
	require.NoError(t, report.New(db).TokenHistories(t.Context(), q, func(h coverage.TokenHistory) error {
		judged = append(judged, h.Judge(firstHour, coverage.Moment{Now: time.Now()})...)
		return nil
	}))
	span := func(from, to int64) candle.Range { return candle.Range{From: day0 + 60*from, To: day0 + 60*to} }
	require.Equal(t, []coverage.VerdictSpan{
		{Range: span(0, 5), Verdict: coverage.Have, Candles: 5}, {Range: span(5, 8), Verdict: coverage.ConfirmedEmpty, Candles: 3},
		{Range: span(8, 12), Verdict: coverage.Have, Candles: 4}, {Range: span(12, 20), Verdict: coverage.ConfirmedEmpty, Candles: 8},
		{Range: span(20, 60), Verdict: coverage.NeverAsked, Candles: 40, Stale: true},
	}, judged)
}

// When the quarantine has expired nobody knows any more which of an answer's candles were corrupt: it must not count as
// silence there. What only strict validation rejects was none.
func TestAnExpiredQuarantineUncovers(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	rejects := func(validation candle.Validation, stats backfill.Stats) func(w *backfill.ChunkWrite) {
		return func(w *backfill.ChunkWrite) {
			w.Run.Manifest.Validation = validation
			w.Outcome.Stats = stats
			w.Outcome.EndedAt = time.Now().UTC().AddDate(0, 0, -91)
		}
	}
	s := report.Selection{Tokens: []candle.Token{token}, Interval: candle.Interval1m, Range: firstHour}
	var complete bool
	resample := func() bool {
		_, err := report.New(db).Resampled(t.Context(), s, candle.Interval1h, func(b *report.Bucket) error { complete = b.Complete(); return nil })
		require.NoError(t, err)
		return complete
	}
	asking(t, db, 0, 60, minutes(4, 1), rejects(candle.Lenient, backfill.Stats{Fetched: 5, Inserted: 4, Rejected: 1}))
	missing, _ := db.missing(t, "birdeye")
	require.Equal(t, []candle.Range{firstHour}, missing)
	require.False(t, resample())
	asking(t, db, 1, 60, minutes(4, 1), rejects(candle.Lenient, backfill.Stats{Fetched: 5, Inserted: 4, Deduplicated: 1}))
	missing, _ = db.missing(t, "birdeye")
	require.Empty(t, missing)
	require.True(t, resample())
}

// A source that never had a candle of the token is silent everywhere: that another one has some does not make its silence
// mean more.
func TestTheCandlesOfOneSourceDoNotConfirmTheSilenceOfAnother(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	asking(t, db, 0, 60, nil, nil)
	asking(t, db, 1, 10, minutes(10, 1), func(w *backfill.ChunkWrite) { w.Outcome.Source = "geckoterminal" })
	missing, _ := db.missing(t, "birdeye", "geckoterminal")
	require.Equal(t, []candle.Range{{From: day0 + 600, To: day0 + 3600}}, missing)
}

// What was read from published files, or by a program that did not say so, does not cover a request that leaves them out.
func TestFilesDoNotCoverARequestWithoutThem(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	file := backfill.File{Name: "BTCUSDT-1m-2025-01.zip", SHA256: "ab12", Modified: time.Unix(day0, 0).UTC()}
	answered := func(minutes int, files ...backfill.File) func(*backfill.ChunkWrite) {
		return func(w *backfill.ChunkWrite) { w.Outcome.Files, w.Outcome.AnsweredTo = files, day0+int64(60*minutes) }
	}
	without := func() []candle.Range {
		coverage := coverage.NewFilter([]candle.TokenRanges{{Token: token, Ranges: []candle.Range{firstHour}}}, candle.Interval1m, time.Now())
		q := backfill.CoverageQuery{
			Sources: []string{"birdeye"}, Validation: candle.Lenient, Interval: candle.Interval1m, Range: firstHour, Tokens: []candle.Token{token}, NoPublishedFiles: true,
		}
		require.NoError(t, report.New(db).FillCoverage(t.Context(), q, coverage))
		return coverage.Missing()[0].Ranges
	}
	run := asking(t, db, 0, 40, minutes(40, 1), answered(40, file))
	asking(t, db, 1, 30, minutes(30, 1), nil)
	missing, _ := db.missing(t, "birdeye")
	require.Equal(t, []candle.Range{{From: day0 + 2400, To: day0 + 3600}}, missing)
	require.Equal(t, []candle.Range{firstHour}, without())
	asking(t, db, 2, 20, minutes(20, 1), answered(20))
	require.Equal(t, []candle.Range{{From: day0 + 1200, To: day0 + 3600}}, without(), "the API alone")
	tasks, err := report.New(db).Tasks(t.Context(), run.ID(), report.TaskFilter{}, 10)
	require.NoError(t, err)
	require.Equal(t, []backfill.File{file}, tasks[0].Outcome.Files)
}

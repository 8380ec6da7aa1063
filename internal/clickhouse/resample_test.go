package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

// Resampling against a model that looks at each minute by itself: runs of two sources answer, fail, reject and are rolled
// back, over two hours around the end of a month and in buckets of all lengths, now and at the moment between two halves.
func TestResampledEqualsModel(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	var tokens atomic.Int64
	rapid.Check(t, func(rt *rapid.T) {
		m := &resampleModel{t: rt, db: db, token: candle.Token{Chain: candle.Solana, Address: fmt.Sprintf("resample%d", tokens.Add(1))}}
		for range rapid.IntRange(0, 3).Draw(rt, "runs") {
			m.write()
		}
		m.hide()
		then := m.now()
		before := *m
		before.runs = slices.Clone(m.runs)
		for range rapid.IntRange(0, 2).Draw(rt, "later runs") {
			m.write()
		}
		m.hide()
		length := rapid.SampledFrom([]candle.Interval{candle.Interval5m, candle.Interval15m, candle.Interval1h, candle.Interval4h, candle.Interval1d}).Draw(rt, "length")
		from := modelFrom + rapid.Int64Range(-7200, 7200).Draw(rt, "from")
		r := candle.Range{From: from, To: from + rapid.Int64Range(1, 200_000).Draw(rt, "seconds")}
		m.check(r, length, time.Time{})
		before.check(r, length, then)
	})
}

// modelFrom is an hour before the end of a month.
var modelFrom = time.Date(2024, 1, 31, 23, 0, 0, 0, time.UTC).Unix()

const modelMinutes = 120

type resampleModel struct {
	t     *rapid.T
	db    *DB
	token candle.Token
	runs  []resampledRun
}

// resampledRun is what one run did at each minute.
type resampledRun struct {
	backfill.Run
	source   string
	success  bool
	hidden   bool
	events   int
	asked    candle.Range
	candles  map[int64]candle.Candle
	rejected []int64
}

// hide rolls some runs back and restores some.
func (m *resampleModel) hide() {
	for i := range m.runs {
		if rapid.IntRange(0, 3).Draw(m.t, "roll back or restore") > 0 {
			continue
		}
		run := &m.runs[i]
		run.hidden = !run.hidden
		run.events++
		event := map[bool]string{true: "rolled_back", false: "restored"}[run.hidden]
		statement := fmt.Sprintf("INSERT INTO ohlcv_run_visibility (run_id, sequence, event) SELECT '%s', %d, '%s'", run.ID(), run.events, event)
		if err := m.db.exec(context.Background(), queryTimeout, statement); err != nil {
			m.t.Fatal(err)
		}
	}
}

// now is the server's: later than everything that it has recorded.
func (m *resampleModel) now() (now time.Time) {
	if err := m.db.conn.QueryRow(context.Background(), "SELECT now64(6) + INTERVAL 1 MICROSECOND").Scan(&now); err != nil {
		m.t.Fatal(err)
	}
	return now
}

// write stores the random answer of a run, which has ended then.
func (m *resampleModel) write() {
	first := rapid.Int64Range(0, modelMinutes-1).Draw(m.t, "first")
	run := resampledRun{
		Run: newRun(len(m.runs)), source: rapid.SampledFrom([]string{"birdeye", "geckoterminal"}).Draw(m.t, "source"),
		success: rapid.IntRange(0, 3).Draw(m.t, "fails") > 0, candles: map[int64]candle.Candle{},
		asked: candle.Range{From: modelFrom + 60*first, To: modelFrom + 60*rapid.Int64Range(first+1, modelMinutes).Draw(m.t, "end")},
	}
	run.Manifest.RunID = uuid.New()
	run.Manifest.Source = run.source
	run.Manifest.Validation = rapid.SampledFrom([]candle.Validation{candle.Lenient, candle.Strict}).Draw(m.t, "validation")
	w := newWrite(run.Run, nil)
	w.Chunk = backfill.NewChunk(m.token, candle.Interval1m, run.asked)
	density := rapid.SampledFrom([]int{0, 0, 1, 5, 10}).Draw(m.t, "density")
	for open := run.asked.From; open < run.asked.To; open += 60 {
		switch n := rapid.IntRange(0, 9).Draw(m.t, "minute"); {
		case n < density:
			run.candles[open] = m.draw(open)
			w.Candles = append(w.Candles, run.candles[open])
		case n == 9 && density > 0 && rapid.IntRange(0, 3).Draw(m.t, "corrupt") == 0:
			run.rejected = append(run.rejected, open)
			w.Rejected = append(w.Rejected, backfill.Rejection{Candle: candle.Candle{OpenTime: open, High: 1, Low: 2}, Rule: candle.RuleInvalidRange})
		}
	}
	stats := backfill.Stats{Fetched: int64(len(w.Candles) + len(w.Rejected)), Inserted: int64(len(w.Candles)), Rejected: int64(len(w.Rejected))}
	w.Outcome = succeeded(w.Chunk, stats)
	if !run.success {
		w.Outcome = failed(w.Chunk, "cut answer")
	}
	w.Outcome.Source, w.Outcome.EndedAt = run.source, time.Now().UTC()
	if _, err := m.db.WriteChunk(context.Background(), w); err != nil {
		m.t.Fatal(err)
	}
	if err := m.db.Finished(context.Background(), backfill.RunRecord{Run: run.Run, Status: backfill.StatusCompleted, CompletedAt: m.now()}); err != nil {
		m.t.Fatal(err)
	}
	m.runs = append(m.runs, run)
}

// draw makes a candle whose sums are exact in any order.
func (m *resampleModel) draw(open int64) candle.Candle {
	low := float64(rapid.IntRange(1, 20).Draw(m.t, "low"))
	high := low + float64(rapid.IntRange(0, 20).Draw(m.t, "height"))
	return candle.Candle{
		OpenTime: open, Open: low, High: high, Low: low, Close: high,
		Volume: float64(rapid.IntRange(1, 1000).Draw(m.t, "volume")) / 8, VolumeUSD: float64(rapid.IntRange(0, 1000).Draw(m.t, "usd")) / 4,
	}
}

// minute is what is known of one: the served candle and its run, or whether it is confirmed that there is none.
func (m *resampleModel) minute(open int64) (served *candle.Candle, by *resampledRun, silent bool) {
	gave := map[string]bool{}
	for i := range m.runs {
		if run := &m.runs[i]; len(run.candles)+len(run.rejected) > 0 {
			gave[run.source] = gave[run.source] || run.success
		}
	}
	rejected := false
	for i := range m.runs {
		run := &m.runs[i]
		if run.hidden { // with all that it said, also of what it rejected
			continue
		}
		rejected = rejected || slices.Contains(run.rejected, open)
		if c, ok := run.candles[open]; ok { // all are of one quality: the newer run wins
			served, by = &c, run
		}
		silent = silent || run.success && gave[run.source] && run.asked.Contains(open)
	}
	return served, by, silent && served == nil && !rejected
}

func (m *resampleModel) want(r candle.Range, length candle.Interval) (buckets []report.Bucket, result report.Resampling) {
	for open := length.Ceil(r.From); open < r.To; open += length.Seconds() {
		b := report.Bucket{Token: m.token, Expected: length.Seconds() / 60}
		for at := open; at < open+length.Seconds(); at += 60 {
			c, run, silent := m.minute(at)
			if silent {
				b.Silent++
			}
			if c == nil {
				continue
			}
			if b.Candles++; b.Candles == 1 {
				b.Candle, b.Quality = *c, 255
				b.OpenTime, b.Volume, b.VolumeUSD = open, 0, 0
			}
			b.High, b.Low, b.Close = max(b.High, c.High), min(b.Low, c.Low), c.Close
			b.Volume, b.VolumeUSD = b.Volume+c.Volume, b.VolumeUSD+c.VolumeUSD
			b.Quality = min(b.Quality, candle.Quality(*c, run.Manifest.SourceTier))
			if b.Sources = append(b.Sources, run.source); !slices.Contains(b.RunIDs, run.ID()) {
				b.RunIDs = append(b.RunIDs, run.ID())
			}
		}
		slices.Sort(b.Sources)
		b.Sources = slices.Compact(b.Sources)
		slices.SortFunc(b.RunIDs, compareUUIDs)
		switch {
		case b.Candles == 0 && b.Silent < b.Expected:
			result.Unknown++
		case b.Candles > 0:
			buckets = append(buckets, b)
			result.Buckets++
			if b.Candles+b.Silent < b.Expected {
				result.Incomplete++
			}
		}
	}
	return buckets, result
}

func (m *resampleModel) check(r candle.Range, length candle.Interval, asOf time.Time) {
	want, wantResult := m.want(r, length)
	var got []report.Bucket
	s := report.Selection{Tokens: []candle.Token{m.token}, Interval: candle.Interval1m, Range: r, AsOf: asOf}
	result, err := report.New(m.db).Resampled(context.Background(), s, length, func(b *report.Bucket) error {
		slices.SortFunc(b.RunIDs, compareUUIDs)
		got = append(got, *b)
		return nil
	})
	if err != nil {
		m.t.Fatal(err)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		m.t.Fatalf("buckets of %s in %s as of %v differ from the model (-want +got):\n%s", length, r, asOf, diff)
	}
	if result != wantResult {
		m.t.Fatalf("counted %+v of %s in %s, want %+v", result, length, r, wantResult)
	}
}

// A run that is rolled back while buckets are read would leave holes that looked confirmed.
func TestARollbackWhileResamplingIsNoticed(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := asking(t, db, 0, 60, minutes(30, 1), nil)
	s := report.Selection{Interval: candle.Interval1m, Range: firstHour}
	_, err := report.New(db).Resampled(t.Context(), s, candle.Interval15m, func(b *report.Bucket) error {
		if b.OpenTime > day0 {
			return nil
		}
		return db.RollBack(t.Context(), run.ID(), someone, false)
	})
	require.ErrorIs(t, err, report.ErrChanged)
	result, err := report.New(db).Resampled(t.Context(), s, candle.Interval15m, func(*report.Bucket) error { return nil })
	require.NoError(t, err)
	require.Zero(t, result)
}

// All tokens of a resampling come from one query, in order.
func TestResampledGivesAllTokensInOrder(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	mustExec(t, db, `INSERT INTO ohlcv_candle_versions (chain, token_address, interval_seconds, timestamp, open, high, low, close, volume)
		SELECT 'solana', 'token' || toString(number % 300), 60, toDateTime(1704067200 + 60 * intDiv(number, 300), 'UTC'), 1, 2, 1, 2, 0.1 FROM numbers(300000)`)
	var last report.Bucket
	s := report.Selection{Interval: candle.Interval1m, Range: candle.Range{From: 1704067200, To: 1704153600}}
	result, err := report.New(db).Resampled(t.Context(), s, candle.Interval5m, func(b *report.Bucket) error {
		before := last.Token.Address < b.Token.Address || last.Token == b.Token && last.OpenTime < b.OpenTime
		require.True(t, before, "%v after %v", b, last)
		require.InDelta(t, 0.5, b.Volume, 1e-15)
		require.True(t, b.Candles == 5 && b.Complete())
		last = *b
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, report.Resampling{Buckets: 300 * 200, Unknown: 300 * 88}, result)
}

package dashboard_test

import (
	"math"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
	"quantbot/internal/simmarket"
)

// filledHistory is what is there after a week: candles with gaps, in several versions, failures, quarantine and faulty runs.
type filledHistory struct {
	now    time.Time
	tokens []candle.Token
	// first brought most candles, second some of them again, undone is rolled back, hollow has no volume, broken failed.
	first, second, undone, hollow, broken backfill.Run
	// revised is the open time of a candle of the first token with four versions.
	revised int64
	// corrupt is the open time of a candle of token 6 that was rejected.
	corrupt int64
}

const historyDays = 5

// day is the range of a day of the history, from 0.
func (d *filledHistory) day(i int) candle.Range {
	from := candle.Interval1d.Truncate(d.now.Unix()) - int64(historyDays-i)*86400
	return candle.Range{From: from, To: from + 86400}
}

func fillHistory(t testing.TB, w *harness) *filledHistory {
	t.Helper()
	d := &filledHistory{now: time.Now().UTC().Truncate(time.Minute)}
	d.first, d.second, d.undone = d.run(-72*time.Hour), d.run(-48*time.Hour), d.run(-24*time.Hour)
	d.hollow, d.broken = d.run(-12*time.Hour), d.run(-6*time.Hour)
	d.hollow.Manifest.Fallbacks = []string{"geckoterminal"}
	market := simmarket.NewMarket(1)
	d.tokens = d.busiest(market, 8)
	for i, token := range d.tokens {
		for day := range historyDays {
			d.fetch(t, w, market, i, token, day)
		}
	}
	d.revised = d.day(2).From + 3600
	again := thin(d.day(2))[60:120]
	for i := range again {
		again[i].Close = again[i].High
	}
	d.write(t, w, d.second, d.tokens[0], d.day(2), again, nil, "birdeye")
	for i := range again {
		again[i].Close = again[i].Low
	}
	d.write(t, w, d.undone, d.tokens[0], d.day(2), again, nil, "birdeye")
	for i := range again {
		again[i].Volume, again[i].VolumeUSD = 0, 0
	}
	d.write(t, w, d.hollow, d.tokens[0], d.day(2), again, nil, "geckoterminal")

	n := int64(len(again))
	d.finish(t, w, d.first, backfill.StatusCompleted, backfill.Stats{Fetched: 4000, Inserted: 3880, Rejected: 120, ZeroVolume: 90}, 0)
	d.finish(t, w, d.second, backfill.StatusCompleted, backfill.Stats{Fetched: 10 * n, Inserted: n, Deduplicated: 9 * n}, 0)
	d.finish(t, w, d.undone, backfill.StatusCompleted, backfill.Stats{Fetched: n, Inserted: n}, 0)
	d.finish(t, w, d.hollow, backfill.StatusCompleted, backfill.Stats{Fetched: n, Inserted: n, ZeroVolume: n}, 0)
	d.finish(t, w, d.broken, backfill.StatusFailed, backfill.Stats{Fetched: 50, Inserted: 50}, 3)
	require.NoError(t, w.History.RollBack(t.Context(), d.undone.ID(), backfill.UndoRequest{By: "ana@desk", Reason: "<script>alert(1)</script>"}, false))
	return d
}

// busiest are tokens that trade on every day of the history.
func (d *filledHistory) busiest(market *simmarket.Market, n int) (tokens []candle.Token) {
	for _, token := range simmarket.Tokens(500) {
		busy := len(tokens) < n
		for day := range historyDays {
			busy = busy && len(market.Candles(token, candle.Interval1m, d.day(day))) > 800
		}
		if busy {
			tokens = append(tokens, token)
		}
	}
	return tokens
}

// fetch stores what the first run, or the broken one, got for a token on a day.
func (d *filledHistory) fetch(t testing.TB, w *harness, market *simmarket.Market, i int, token candle.Token, day int) {
	t.Helper()
	r := d.day(day)
	candles := market.Candles(token, candle.Interval1m, r)
	var rejected []backfill.Rejection
	switch {
	case i == 1 && day == 3, i == 2 && day > 2:
		d.fail(t, w, token, r)
		return
	case i == 3 && day == 4, i == 5 && day < 2:
		return // never asked
	case i == 4:
		candles = nil // the source never had one
	case i == 6 && len(candles) > 20:
		for _, c := range candles[:20] {
			c.High = c.Low / 2
			rejected = append(rejected, backfill.Rejection{Candle: c, Rule: candle.RuleInvalidRange})
		}
		odd := candles[0]
		odd.Open = math.NaN()
		rejected = append(rejected, backfill.Rejection{Candle: odd, Rule: candle.RuleNotFinite, Detail: "item 0 of the answer: o is null"})
		candles, d.corrupt = candles[20:], candles[0].OpenTime
	case i == 0 && day == 2:
		candles = thin(r)
	}
	d.write(t, w, d.first, token, r, candles, rejected, "birdeye")
}

// thin is a day on which the token trades all the time, but for two hours.
func thin(r candle.Range) (candles []candle.Candle) {
	price := 0.0042
	for open := r.From; open < r.To; open += 60 {
		if minute := (open - r.From) / 60; minute > 600 && minute < 720 {
			continue
		}
		opened := price
		price *= 1 + 0.004*math.Sin(float64(open)/517) + 0.003*math.Sin(float64(open)/91)
		candles = append(candles, candle.Candle{
			OpenTime: open, Open: opened, Close: price, High: max(opened, price) * 1.002, Low: min(opened, price) * 0.998,
			Volume: 1e5 * (1 + math.Sin(float64(open)/700)), VolumeUSD: 400,
		})
	}
	return candles
}

func (d *filledHistory) run(ago time.Duration) backfill.Run {
	return backfill.Run{Attempt: 1, PlannedChunks: 10, Manifest: manifest.Manifest{
		RunID: uuid.Must(uuid.NewV7()), StartedAt: d.now.Add(ago), ScriptVersion: "1.2.3", Source: "birdeye", Interval: candle.Interval1m,
		Range: candle.Range{From: d.day(0).From, To: d.day(historyDays - 1).To}, Validation: candle.Lenient, DedupMode: manifest.DedupNone,
		SourceTier: candle.TierBackfillAPI,
	}}
}

func (d *filledHistory) outcome(chunk backfill.Chunk, run backfill.Run, status backfill.OutcomeStatus) backfill.Outcome {
	return backfill.Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: status, Source: "birdeye", Executions: 1, Worker: "worker-1",
		Version: "1.2.3", AnsweredTo: chunk.Range.To, StartedAt: run.Manifest.StartedAt, EndedAt: run.Manifest.StartedAt.Add(2 * time.Second),
	}
}

func (d *filledHistory) write(t testing.TB, w *harness, run backfill.Run, token candle.Token, r candle.Range, candles []candle.Candle, rejected []backfill.Rejection, source string) {
	t.Helper()
	chunk := backfill.NewChunk(token, candle.Interval1m, r)
	outcome := d.outcome(chunk, run, backfill.OutcomeSuccess)
	outcome.Source = source
	outcome.Stats = backfill.Stats{Fetched: int64(len(candles) + len(rejected)), Inserted: int64(len(candles)), Rejected: int64(len(rejected)), APICalls: 1}
	err := w.writeChunk(t.Context(), backfill.ChunkWrite{Run: run, Chunk: chunk, Candles: candles, Rejected: rejected, Outcome: outcome})
	require.NoError(t, err)
}

func (d *filledHistory) fail(t testing.TB, w *harness, token candle.Token, r candle.Range) {
	t.Helper()
	outcome := d.outcome(backfill.NewChunk(token, candle.Interval1m, r), d.broken, backfill.OutcomeFailed)
	outcome.Error, outcome.ErrorClass = `birdeye: HTTP 503: <img src=x onerror=alert(1)>`, backfill.ClassUnavailable
	require.NoError(t, w.History.RecordOutcomes(t.Context(), d.broken, []backfill.Outcome{outcome}))
}

func (d *filledHistory) finish(t testing.TB, w *harness, run backfill.Run, status backfill.RunStatus, stats backfill.Stats, failed int) {
	t.Helper()
	require.NoError(t, w.History.Started(t.Context(), run))
	require.NoError(t, w.History.Finished(t.Context(), backfill.RunRecord{
		Run: run, Status: status, CompletedAt: run.Manifest.StartedAt.Add(10 * time.Minute), Stats: stats, FailedChunks: failed, TokensProcessed: 8,
		ErrorMessage: map[bool]string{true: "birdeye: HTTP 503 <script>alert(1)</script>"}[failed > 0],
	}))
}

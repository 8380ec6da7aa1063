package dashboard_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/coverage"
	"quantbot/internal/publicjson"
)

func readJSON[T any](t testing.TB, w *harness, path string) (data T) {
	t.Helper()
	a := w.get(t, path)
	require.Equal(t, 200, a.StatusCode, a.body)
	require.NoError(t, publicjson.Unmarshal([]byte(a.body), &data))
	return data
}

func tokenPath(token candle.Token) string {
	return "/tokens/" + string(token.Chain) + "/" + token.Address
}

type coverageAnswer struct {
	Interval    string       `json:"interval"`
	Range       candle.Range `json:"range"`
	Page        int          `json:"page"`
	PageSize    int          `json:"page_size"`
	TotalTokens int          `json:"total_tokens"`
	Bounded     string       `json:"bounded"`
	Tokens      []struct {
		Token candle.Token             `json:"token"`
		Days  []coverage.VerdictCounts `json:"days"`
		Total coverage.VerdictCounts   `json:"total"`
	} `json:"tokens"`
}

func (c coverageAnswer) most(t testing.TB, token candle.Token) (verdicts []coverage.Verdict) {
	t.Helper()
	for _, row := range c.Tokens {
		if row.Token == token {
			for _, day := range row.Days {
				verdicts = append(verdicts, day.Most())
			}
			return verdicts
		}
	}
	t.Fatalf("no row of %s", token)
	return nil
}

func TestCoveragePage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	empty := w.get(t, "/coverage")
	require.Equal(t, 200, empty.StatusCode)
	require.Contains(t, empty.body, "Nothing was asked for yet")
	d := fillHistory(t, w)

	c := readJSON[coverageAnswer](t, w, "/api/coverage")
	require.Equal(t, "1m", c.Interval)
	require.Equal(t, candle.Range{From: d.day(0).From, To: d.day(historyDays - 1).To}, c.Range)
	require.Equal(t, len(d.tokens), c.TotalTokens)
	const have, failed, never, unconfirmed = coverage.Have, coverage.FailedToFetch, coverage.NeverAsked, coverage.Unconfirmed
	require.Equal(t, []coverage.Verdict{have, have, have, have, have}, c.most(t, d.tokens[0]))
	require.Equal(t, failed, c.most(t, d.tokens[1])[3])
	require.Equal(t, []coverage.Verdict{failed, failed}, c.most(t, d.tokens[2])[3:])
	require.Equal(t, never, c.most(t, d.tokens[3])[4])
	require.Equal(t, []coverage.Verdict{unconfirmed, unconfirmed, unconfirmed, unconfirmed, unconfirmed}, c.most(t, d.tokens[4]))
	require.Equal(t, []coverage.Verdict{never, never}, c.most(t, d.tokens[5])[:2])
	for _, row := range c.Tokens {
		if row.Token == d.tokens[6] {
			require.EqualValues(t, 20*historyDays, row.Total.Candles[coverage.RejectedCandle])
		}
	}
	for _, row := range c.Tokens {
		require.EqualValues(t, historyDays*1440, row.Total.Total(), "every minute has one verdict")
		var sum coverage.VerdictCounts
		sum.Candles = map[coverage.Verdict]int64{}
		for _, day := range row.Days {
			require.EqualValues(t, 1440, day.Total())
			for verdict, n := range day.Candles {
				sum.Candles[verdict] += n
			}
		}
		require.Equal(t, row.Total.Candles, sum.Candles)
	}

	page := w.get(t, "/coverage").body
	for _, text := range []string{"confirmed empty", "unconfirmed", "never asked", `class="cell v-failed"`, `class="cell v-mixed"`, "1\u202f440 failed; 1\u202f440 would be fetched now"} {
		require.Contains(t, page, text)
	}
	other := readJSON[coverageAnswer](t, w, "/api/coverage?source=geckoterminal&from="+time.Unix(d.day(3).From, 0).UTC().Format(time.DateOnly))
	require.Equal(t, []coverage.Verdict{have, have}, other.most(t, d.tokens[0]), "a candle that is there is there, whoever brought it")
	require.Equal(t, never, other.most(t, d.tokens[2])[0], "what one source failed at is nothing of another")
	strict := readJSON[coverageAnswer](t, w, "/api/coverage?validation=strict")
	require.Equal(t, never, strict.most(t, d.tokens[4])[0], "answers are kept apart by validation")
	filtered := readJSON[coverageAnswer](t, w, "/api/coverage?outliers=filter")
	require.Equal(t, never, filtered.most(t, d.tokens[4])[0], "and by what was asked to be done with outliers")
	require.Contains(t, w.get(t, "/coverage?outliers=filter").body, "<option selected>filter</option>")
	require.Contains(t, w.get(t, "/coverage?outliers=filter").body, "outliers=filter&amp;", "links ask the same")
	one := readJSON[coverageAnswer](t, w, "/api/coverage?token="+strings.ToLower(d.tokens[3].Address[5:20]))
	require.Len(t, one.Tokens, 1)
	require.Equal(t, d.tokens[3], one.Tokens[0].Token)
}

// The pages show what a rollback hides and what was cancelled, as coverage and gaps do.
func TestCoveragePagesShowWhatIsHidden(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := fillHistory(t, w)
	stopped := d.run(-time.Hour)
	chunk := backfill.NewChunk(d.tokens[3], candle.Interval1m, d.day(historyDays-1))
	require.NoError(t, w.History.RecordOutcomes(t.Context(), stopped, []backfill.Outcome{{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: backfill.OutcomeCancelled, Source: "birdeye", StartedAt: d.now, EndedAt: d.now,
	}}))
	d.finish(t, w, stopped, backfill.StatusCancelled, backfill.Stats{}, 0)
	require.NoError(t, w.History.RollBack(t.Context(), d.first.ID(), backfill.UndoRequest{By: "ana@desk"}, false))

	c := readJSON[coverageAnswer](t, w, "/api/coverage")
	require.Equal(t, slices.Repeat([]coverage.Verdict{coverage.RolledBack}, historyDays), c.most(t, d.tokens[7]))
	require.Equal(t, coverage.CancelledChunk, c.most(t, d.tokens[3])[historyDays-1])
	for _, row := range c.Tokens {
		if row.Token == d.tokens[7] {
			require.EqualValues(t, historyDays*1440, row.Total.Stale)
		}
	}
	page := w.get(t, "/coverage").body
	for _, text := range []string{`class="cell v-rolled-back"`, `class="cell v-cancelled"`, "1\u202f440 rolled back; 1\u202f440 would be fetched now", "answered by runs alone that are rolled back"} {
		require.Contains(t, page, text)
	}
	require.Contains(t, w.get(t, tokenPath(d.tokens[7])).body, `class="strip v-rolled-back"`)
}

func TestCoverageIsBounded(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := fillHistory(t, w)
	long := readJSON[coverageAnswer](t, w, "/api/coverage?from=2020-01-01")
	require.Contains(t, long.Bounded, "Only the last 92 of")
	require.EqualValues(t, 92, (long.Range.To-long.Range.From)/86400)
	require.Less(t, long.PageSize, len(d.tokens)+2, "fewer tokens where days are many")
	require.Len(t, long.Tokens, min(long.PageSize, len(d.tokens)))
	seconds := readJSON[coverageAnswer](t, w, "/api/coverage?interval=1s&from=2026-01-01&to=2026-02-01")
	require.Contains(t, seconds.Bounded, "Only the last 2 of 31 days")
	beyond := w.get(t, "/coverage?page=7")
	require.Equal(t, 200, beyond.StatusCode)
	require.Contains(t, beyond.body, "There are only 1 pages")
}

type tokenAnswer struct {
	Range    candle.Range             `json:"range"`
	Bucket   int64                    `json:"bucket_seconds"`
	Bounded  string                   `json:"bounded"`
	Coverage []coverage.VerdictCounts `json:"coverage"`
	Candles  []struct {
		Timestamp time.Time `json:"timestamp"`
		Close     float64   `json:"close"`
		Candles   int64     `json:"candles"`
		Revised   int64     `json:"revised"`
	} `json:"candles"`
	Chunks []struct {
		RunID    string `json:"run_id"`
		Shadowed *int64 `json:"candles_shadowed"`
	} `json:"chunks"`
	Candle *struct {
		Timestamp time.Time `json:"timestamp"`
		Versions  []struct {
			RunID  string `json:"run_id"`
			Served bool   `json:"served"`
			Why    string `json:"why"`
		} `json:"versions"`
		Rejections []struct {
			Rule   string   `json:"rule"`
			Open   *float64 `json:"open"`
			Detail string   `json:"detail"`
		} `json:"rejections"`
	} `json:"candle"`
}

func TestTokenPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := fillHistory(t, w)
	path := tokenPath(d.tokens[0])
	day := "?from=" + candle.FormatTime(d.day(2).From) + "&to=" + candle.FormatTime(d.day(2).To)

	whole := readJSON[tokenAnswer](t, w, "/api"+path+day)
	require.EqualValues(t, 300, whole.Bucket, "a day of minutes does not fit a screen")
	require.Equal(t, d.day(2), whole.Range)
	require.Equal(t, d.day(2).From, candle.Interval1d.Truncate(whole.Candles[0].Timestamp.Unix()), "a time as every place writes it")
	require.Len(t, whole.Candles, 288-23, "five-minute buckets but for two hours, one minute less at either end")
	require.Len(t, whole.Coverage, 288)
	require.Equal(t, coverage.ConfirmedEmpty, whole.Coverage[130].Most())
	require.NotNil(t, whole.Chunks[0].Shadowed, "counts are called as the columns are")
	revised := int64(0)
	for _, c := range whole.Candles {
		revised += c.Revised
	}
	require.EqualValues(t, 60, revised, "an hour has several versions")
	page := w.get(t, path+day).body
	require.Contains(t, page, `class="gap v-empty"`)
	require.Contains(t, page, "119 confirmed empty")
	require.Contains(t, page, "/runs/"+d.undone.ID().String(), "runs that asked, also those that are rolled back")

	at := candle.FormatTime(d.revised + 60)
	near := "?from=" + candle.FormatTime(d.revised) + "&to=" + candle.FormatTime(d.revised+3600) + "&at=" + at
	closer := readJSON[tokenAnswer](t, w, "/api"+path+near)
	require.EqualValues(t, 60, closer.Bucket)
	require.NotNil(t, closer.Candle)
	var runs, whys []string
	for _, v := range closer.Candle.Versions {
		runs, whys = append(runs, v.RunID), append(whys, v.Why)
		require.Equal(t, v.RunID == d.second.ID().String(), v.Served)
	}
	require.Equal(t, []string{d.undone.ID().String(), d.second.ID().String(), d.first.ID().String(), d.hollow.ID().String()}, runs)
	require.Equal(t, "not served: its run is rolled back", whys[0])
	require.Equal(t, "served: of the highest quality, from the newest run", whys[1])
	require.Contains(t, whys[3], "is below 122")
	html := w.get(t, path+near).body
	require.Contains(t, html, "served: of the highest quality, from the newest run")
	require.Contains(t, html, `class="selected"`)

	alone := readJSON[tokenAnswer](t, w, "/api"+path+"?at="+at)
	require.Equal(t, candle.Range{From: d.revised + 60 - 150*60, To: d.revised + 60 + 150*60}, alone.Range, "the candle is in the middle")

	hour := readJSON[tokenAnswer](t, w, "/api"+path+day+"&bucket=1h")
	require.EqualValues(t, 3600, hour.Bucket)
	require.EqualValues(t, 60, hour.Candles[0].Candles)
	tooShort := readJSON[tokenAnswer](t, w, "/api"+path+day+"&bucket=1m")
	require.EqualValues(t, 300, tooShort.Bucket)
	require.Contains(t, tooShort.Bounded, "Shown in buckets of 5m")
	long := readJSON[tokenAnswer](t, w, "/api"+path+"?from=2020-01-01")
	require.Contains(t, long.Bounded, "Only the last 150\u202f000 candles")
	require.EqualValues(t, 150_000*60, long.Range.To-long.Range.From)
}

func TestTokensWithoutCandles(t *testing.T) {
	t.Parallel()
	w := setup(t)
	d := fillHistory(t, w)
	silent := w.get(t, tokenPath(d.tokens[4]))
	require.Equal(t, 200, silent.StatusCode)
	require.Contains(t, silent.body, "No candle in this range.")
	require.Contains(t, silent.body, `class="gap v-unconfirmed"`)
	other := w.get(t, tokenPath(d.tokens[0])+"?interval=1h")
	require.Equal(t, 200, other.StatusCode)
	require.Contains(t, other.body, "Nothing is known of this token at 1h; there is 1m.")
	future := w.get(t, tokenPath(d.tokens[0])+"?from=2100-01-01&to=2101-01-01")
	require.Equal(t, 200, future.StatusCode)
	unknown := w.get(t, "/tokens/base/0x0000000000000000000000000000000000000001")
	require.Equal(t, 404, unknown.StatusCode)
	require.Contains(t, unknown.body, "No run has asked for base:0x0000000000000000000000000000000000000001 yet.")
	corrupt := readJSON[tokenAnswer](t, w, "/api"+tokenPath(d.tokens[6])+"?at="+candle.FormatTime(d.corrupt))
	require.Equal(t, d.corrupt, corrupt.Candle.Timestamp.Unix(), "a time as every place writes it")
	require.Empty(t, corrupt.Candle.Versions)
	require.Len(t, corrupt.Candle.Rejections, 2)
	odd, broken := corrupt.Candle.Rejections[0], corrupt.Candle.Rejections[1]
	if broken.Rule == "NOT_FINITE" {
		odd, broken = broken, odd
	}
	require.Equal(t, "INVALID_RANGE", broken.Rule)
	require.Equal(t, "NOT_FINITE", odd.Rule)
	require.Nil(t, odd.Open, "JSON has no word for what is no number")
	require.Equal(t, "item 0 of the answer: o is null", odd.Detail)
	require.Contains(t, w.get(t, tokenPath(d.tokens[6])+"?at="+candle.FormatTime(d.corrupt)).body, "NOT_FINITE: item 0 of the answer: o is null")
}

type qualityAnswer struct {
	Periods []struct {
		Runs   int64 `json:"runs"`
		Failed int64 `json:"failed_runs"`
	} `json:"periods"`
	Total struct {
		Runs       int64 `json:"runs"`
		RolledBack int64 `json:"rolled_back_runs"`
		Fetched    int64 `json:"candles_fetched"`
	} `json:"total"`
	Faulty     []backfill.Fault `json:"faulty_runs"`
	FaultyRuns int              `json:"faulty_runs_total"`
}

func TestQualityPage(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.Contains(t, w.get(t, "/quality").body, "No run started in this range.")
	d := fillHistory(t, w)
	q := readJSON[qualityAnswer](t, w, "/api/quality")
	require.EqualValues(t, 4, q.Total.Runs)
	require.EqualValues(t, 1, q.Total.RolledBack)
	require.EqualValues(t, 4000+11*60+50, q.Total.Fetched)
	require.Equal(t, 2, q.FaultyRuns)
	require.Equal(t, d.broken.ID(), q.Faulty[0].RunID)
	require.Equal(t, backfill.RecommendRevalidate, q.Faulty[0].Recommendation)
	require.Equal(t, d.hollow.ID(), q.Faulty[1].RunID)
	require.Equal(t, backfill.RecommendRollback, q.Faulty[1].Recommendation)
	page := w.get(t, "/quality").body
	require.Contains(t, page, "runs-retry "+d.broken.ID().String())
	require.Contains(t, page, "100% of the candles without volume")
	runs := readJSON[qualityAnswer](t, w, "/api/quality?by=run&min_rejection_rate=0.03")
	require.Len(t, runs.Periods, 4, "the one that is rolled back is left out")
	require.Equal(t, 3, runs.FaultyRuns)
	none := readJSON[qualityAnswer](t, w, "/api/quality?source=binance")
	require.Zero(t, none.Total.Runs)
}

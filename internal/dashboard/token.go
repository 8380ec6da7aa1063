package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
)

type tokenHistory interface {
	TokenScopes(ctx context.Context, token candle.Token) ([]report.TokenScope, error)
	Chart(ctx context.Context, q report.ChartQuery) ([]report.ChartCandle, error)
	Versions(ctx context.Context, token candle.Token, interval candle.Interval, openTime int64) ([]report.Version, error)
	Rejections(ctx context.Context, token candle.Token, interval candle.Interval, openTime int64) ([]report.QuarantinedCandle, error)
	TokenChunks(ctx context.Context, q report.TokenChunksQuery, limit int) ([]report.TokenChunk, error)
}

const (
	// usualCandles is how many candles a chart spans by default: a day of minutes.
	usualCandles = 1440
	// mostCharted bounds how many candles a chart may have to read.
	mostCharted = 150_000
	// usualBuckets fit a screen; mostBuckets can still be seen apart when scrolling.
	usualBuckets, mostBuckets = 300, 1000
	shownChunks               = 50
)

// tokenData is what the page shows; it is the answer of /api/tokens/{chain}/{address}, too.
type tokenData struct {
	Token      candle.Token             `json:"token"`
	Interval   candle.Interval          `json:"interval"`
	Source     string                   `json:"source"` // whose answers explain the gaps; empty = any
	Validation candle.Validation        `json:"validation"`
	Outliers   manifest.Outliers        `json:"outliers"`
	Range      candle.Range             `json:"range"`
	Bucket     bucket                   `json:"bucket_seconds"`
	Scopes     []report.TokenScope      `json:"scopes"`
	Bounded    string                   `json:"bounded,omitempty"` // what was left out of the question, in a sentence
	Candles    []chartCandle            `json:"candles"`
	Coverage   []coverage.VerdictCounts `json:"coverage"`
	Chunks     []report.TokenChunk      `json:"chunks"`
	// Candle is the one whose versions are asked for.
	Candle *candleVersions `json:"candle,omitempty"`

	Buckets []bucket      `json:"-"` // to choose from
	Presets []preset      `json:"-"`
	Chart   chart         `json:"-"`
	Sources []string      `json:"-"` // that were asked at this interval
	Legend  []verdictLook `json:"-"`
	// ChosenBucket is the one of the address; empty = what fits.
	ChosenBucket string `json:"-"`
	at           int64
}

// chartCandle is a bucket of the chart that holds a candle.
type chartCandle struct {
	OpenTime  int64     `json:"-"`
	Timestamp time.Time `json:"timestamp"` // OpenTime, for programs
	Open      float64   `json:"open"`
	High      float64   `json:"high"`
	Low       float64   `json:"low"`
	Close     float64   `json:"close"`
	Volume    float64   `json:"volume"`
	VolumeUSD float64   `json:"volume_usd"`
	// Candles are served in the bucket, Revised of them have several versions; Quality is their lowest score.
	Candles int64 `json:"candles"`
	Revised int64 `json:"revised"`
	Quality uint8 `json:"quality"`

	Href string `json:"-"`
}

// preset is a link to another range.
type preset struct {
	Name, Href string
	Current    bool
}

func (d *Dashboard) tokenPage() page {
	return page{path: "/tokens/{chain}/{address}", template: "token.html", section: "Coverage", load: d.loadToken}
}

func (d *Dashboard) loadToken(r *http.Request) (content, error) {
	chain, err := candle.ParseChain(r.PathValue("chain"))
	if err != nil {
		return content{}, badRequest("There is no chain %q.", clip(40, r.PathValue("chain")))
	}
	token, err := candle.NewToken(chain, r.PathValue("address"))
	if err != nil {
		return content{}, badRequest("%s.", err)
	}
	scopes, err := d.cfg.History.TokenScopes(r.Context(), token)
	if err != nil {
		return content{}, err
	}
	if len(scopes) == 0 {
		return content{}, notFound("No run has asked for %s yet.", token)
	}
	data := tokenData{Token: token, Scopes: scopes, Legend: verdictLooks, Candles: []chartCandle{}, Coverage: []coverage.VerdictCounts{}, Chunks: []report.TokenChunk{}}
	q := readQuery(r, d.cfg.Now)
	data.read(q, d.cfg.Now())
	if err := q.err(); err != nil {
		return content{}, err
	}
	err = d.fillToken(r.Context(), &data)
	return content{Title: clip(24, token.Address) + " " + data.Interval.String(), Data: &data}, err
}

// read takes the question from the address; what is not said comes from what is stored.
func (t *tokenData) read(q *query, now time.Time) {
	t.Source, t.Validation, t.Outliers, t.Interval = q.text("source"), q.validation("validation"), q.outliers("outliers"), q.interval("interval")
	if t.Interval == 0 {
		t.Interval = usualInterval(t.Intervals())
	}
	closed := t.Interval.Truncate(now.Unix())
	from, to := t.Interval.Truncate(q.seconds("from")), t.Interval.Ceil(q.seconds("to"))
	if from != 0 && to != 0 && from >= to {
		q.problem("from must be before to")
		return
	}
	if t.at = t.Interval.Truncate(q.seconds("at")); t.at != 0 && from == 0 && to == 0 {
		half := usualBuckets / 2 * t.Interval.Seconds()
		from, to = max(t.at-half, 1), t.at+half
	}
	scope := t.scope()
	known := scope.Stored // what was asked for may reach far beyond the life of the token
	if known.Empty() {
		known = scope.Asked
	}
	t.Range.To = min(t.Interval.Ceil(known.To), closed)
	if to != 0 {
		t.Range.To = min(to, closed)
	}
	t.Range.From = max(t.Range.To-usualCandles*t.Interval.Seconds(), t.Interval.Truncate(known.From))
	if from != 0 {
		t.Range.From = from
	}
	if t.Range.Candles(t.Interval) > mostCharted {
		t.Range.From = t.Range.To - mostCharted*t.Interval.Seconds()
		t.Bounded = fmt.Sprintf("Only the last %s candles of the range are shown: a chart takes no more. Choose an earlier end for the others.", formatCount(mostCharted))
	}
	t.Buckets = bucketsFor(t.Interval, t.Range)
	t.readBucket(q)
	t.presets(union(scope.Stored, scope.Asked))
}

// union reaches over both, of which either may be empty.
func union(a, b candle.Range) candle.Range {
	switch {
	case a.Empty():
		return b
	case b.Empty():
		return a
	}
	return candle.Range{From: min(a.From, b.From), To: max(a.To, b.To)}
}

// Intervals are those that are known of the token.
func (t *tokenData) Intervals() (intervals []candle.Interval) {
	for _, s := range t.Scopes {
		intervals = append(intervals, s.Interval)
	}
	return intervals
}

func (t *tokenData) scope() report.TokenScope {
	for _, s := range t.Scopes {
		if s.Interval == t.Interval {
			return s
		}
	}
	return report.TokenScope{Interval: t.Interval}
}

// fillToken reads what the page shows of the range.
func (d *Dashboard) fillToken(ctx context.Context, t *tokenData) error {
	history := d.cfg.History
	chunks, err := history.TokenChunks(ctx, report.TokenChunksQuery{Token: t.Token, Interval: t.Interval, Range: t.Range}, shownChunks)
	if err != nil {
		return err
	}
	t.Chunks = nonNil(chunks)
	if t.at != 0 {
		if t.Candle, err = d.versionsOf(ctx, t.Token, t.Interval, t.at); err != nil {
			return err
		}
	}
	if t.Range.Empty() {
		return nil
	}
	candles, err := history.Chart(ctx, report.ChartQuery{Token: t.Token, Interval: t.Interval, Range: t.Range, Bucket: int64(t.Bucket)})
	if err != nil {
		return err
	}
	for _, c := range candles {
		t.Candles = append(t.Candles, chartCandle{
			OpenTime: c.OpenTime, Timestamp: time.Unix(c.OpenTime, 0).UTC(), Open: c.Open, High: c.High, Low: c.Low, Close: c.Close, Volume: c.Volume, VolumeUSD: c.VolumeUSD,
			Candles: c.Candles, Revised: c.Revised, Quality: c.Quality, Href: t.candleHref(c.OpenTime),
		})
	}
	if err := d.judgeToken(ctx, t); err != nil {
		return err
	}
	t.Chart = drawChart(t)
	return nil
}

// judgeToken counts the verdicts in each bucket.
func (d *Dashboard) judgeToken(ctx context.Context, t *tokenData) error {
	scopes, err := d.cfg.History.CoverageScopes(ctx)
	if err != nil {
		return err
	}
	t.Sources = sourcesAt(scopes, t.Interval, t.Source)
	sources := t.Sources
	if t.Source != "" {
		sources = []string{t.Source}
	}
	q := backfill.CoverageQuery{
		Sources: nonNil(sources), Validation: t.Validation, Outliers: t.Outliers, Interval: t.Interval, Range: t.Range, Tokens: []candle.Token{t.Token},
	}
	moment := d.moment(ctx, sources)
	return d.cfg.History.TokenHistories(ctx, q, func(h coverage.TokenHistory) error {
		t.Coverage = nonNil(coverage.CountVerdicts(h.Judge(t.Range, moment), t.Interval, t.Range, int64(t.Bucket)))
		return nil
	})
}

// values are the parameters of this page, to be changed for a link.
func (t *tokenData) values(r candle.Range) url.Values {
	values := url.Values{"interval": {t.Interval.String()}, "from": {candle.FormatTime(r.From)}, "to": {candle.FormatTime(r.To)}}
	if t.Source != "" {
		values.Set("source", t.Source)
	}
	if t.Validation != candle.Lenient {
		values.Set("validation", string(t.Validation))
	}
	if t.Outliers != manifest.OutliersKeep {
		values.Set("outliers", string(t.Outliers))
	}
	return values
}

// candleHref leads to the versions of a candle, or closer to the candles of a bucket.
func (t *tokenData) candleHref(open int64) string {
	r, fragment := t.Range, "#candle"
	step := t.Interval.Seconds()
	if int64(t.Bucket) > step {
		middle := t.Interval.Truncate(open + int64(t.Bucket)/2)
		r, fragment = candle.Range{From: middle - usualBuckets/2*step, To: middle + usualBuckets/2*step}, ""
	}
	values := t.values(r)
	if fragment != "" {
		values.Set("bucket", t.Bucket.String())
		values.Set("at", candle.FormatTime(open))
	}
	return tokenPath(t.Token) + "?" + values.Encode() + fragment
}

// presets are ranges that end where this one does, and everything there is.
func (t *tokenData) presets(known candle.Range) {
	step := t.Interval.Seconds()
	for _, candles := range []int64{usualBuckets, usualCandles, 10 * usualCandles} {
		r := candle.Range{From: max(t.Range.To-candles*step, 0), To: t.Range.To}
		t.Presets = append(t.Presets, preset{Name: formatCount(candles) + " candles", Href: tokenPath(t.Token) + "?" + t.values(r).Encode(), Current: r == t.Range})
	}
	t.Presets = append(t.Presets, preset{Name: "all", Href: tokenPath(t.Token) + "?" + t.values(known).Encode(), Current: known == t.Range})
}

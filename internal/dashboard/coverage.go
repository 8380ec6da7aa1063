package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/coverage"
	"quantbot/internal/manifest"
)

type coverageHistory interface {
	CoverageScopes(ctx context.Context) ([]report.CoverageScope, error)
	RequestedTokensPage(ctx context.Context, interval candle.Interval, r candle.Range, text string, limit, offset int) ([]candle.Token, int, error)
	TokenHistories(ctx context.Context, q backfill.CoverageQuery, yield func(coverage.TokenHistory) error) error
}

// What one page of coverage may cost: about so many candles are judged, for no more tokens and days than a screen takes.
const (
	mostJudgedCandles = 800_000
	mostTokens        = 40
	leastTokens       = 4
	mostDays          = 92
	usualDays         = 31
	daySeconds        = 86_400
	mostTokenPages    = 1_000_000
)

// coverageData is what the page shows; it is the answer of /api/coverage, too.
type coverageData struct {
	Interval   candle.Interval   `json:"interval"`
	Source     string            `json:"source"` // empty = any
	Validation candle.Validation `json:"validation"`
	Outliers   manifest.Outliers `json:"outliers"`
	Range      candle.Range      `json:"range"`
	Text       string            `json:"token"`
	// Page counts from 1.
	Page        int                    `json:"page"`
	PageSize    int                    `json:"page_size"`
	TotalTokens int                    `json:"total_tokens"`
	Tokens      []coveredToken         `json:"tokens"`
	Bounded     string                 `json:"bounded,omitempty"` // what was left out of the question, in a sentence
	Scopes      []report.CoverageScope `json:"scopes"`

	Months   []dayGroup    `json:"-"`
	Days     []dayHead     `json:"-"`
	Legend   []verdictLook `json:"-"`
	Sources  []string      `json:"-"`
	Previous string        `json:"-"` // the address of the page before; empty = none
	Next     string        `json:"-"`
}

// coveredToken is a row of the heat map.
type coveredToken struct {
	Token candle.Token             `json:"token"`
	Days  []coverage.VerdictCounts `json:"days"`
	Total coverage.VerdictCounts   `json:"total"`

	Href  string     `json:"-"`
	Cells []heatCell `json:"-"`
}

// Have is the share of candles that are there.
func (t coveredToken) Have() float64 {
	return float64(t.Total.Candles[coverage.Have]) / float64(max(t.Total.Total(), 1))
}

// heatCell is one day of one token.
type heatCell struct {
	Class string
	Sign  string
	Title string
	Href  string
	// Parts are there where a day has several verdicts.
	Parts []countsPart
}

type dayHead struct {
	Day     int
	Title   string
	Weekend bool
}

// dayGroup is the days of one month.
type dayGroup struct {
	Name string
	Days int
}

func (d *Dashboard) coveragePage() page {
	return page{path: "/coverage", template: "coverage.html", section: "Coverage", load: d.loadCoverage}
}

func (d *Dashboard) loadCoverage(r *http.Request) (content, error) {
	q := readQuery(r, d.cfg.Now)
	scopes, err := d.cfg.History.CoverageScopes(r.Context())
	if err != nil {
		return content{}, err
	}
	data := coverageData{Scopes: nonNil(scopes), Legend: verdictLooks, Tokens: []coveredToken{}}
	data.read(q, d.cfg.Now())
	if err := q.err(); err != nil {
		return content{}, err
	}
	if !data.Range.Empty() {
		err = d.judgeTokens(r.Context(), &data)
	}
	return content{Title: "Coverage", Data: &data}, err
}

// read takes the question from the address; what is not said comes from what was asked for.
func (c *coverageData) read(q *query, now time.Time) {
	c.Source, c.Text = q.text("source"), q.text("token")
	c.Validation, c.Outliers = q.validation("validation"), q.outliers("outliers")
	c.Page = q.number("page", 1, mostTokenPages)
	c.Interval = q.interval("interval")
	if c.Interval == 0 {
		c.Interval = usualInterval(c.Intervals())
	}
	scope := c.scope()
	c.Sources = sourcesAt(c.Scopes, c.Interval, c.Source)
	c.readRange(q, scope.Range, now)
	opens := max(c.Range.Candles(c.Interval), 1)
	c.PageSize = int(min(max(mostJudgedCandles/opens, leastTokens), mostTokens))
}

// Intervals are those that were asked for.
func (c *coverageData) Intervals() (intervals []candle.Interval) {
	for _, s := range c.Scopes {
		intervals = append(intervals, s.Interval)
	}
	return intervals
}

func (c *coverageData) scope() report.CoverageScope {
	for _, s := range c.Scopes {
		if s.Interval == c.Interval {
			return s
		}
	}
	return report.CoverageScope{Interval: c.Interval}
}

// sourcesAt are those that were asked at the interval, and the chosen one.
func sourcesAt(scopes []report.CoverageScope, interval candle.Interval, chosen string) (sources []string) {
	for _, s := range scopes {
		if s.Interval == interval {
			sources = slices.Clone(s.Sources)
		}
	}
	if chosen != "" && !slices.Contains(sources, chosen) {
		sources = append(sources, chosen)
	}
	return sources
}

// readRange takes whole days, up to the last closed candle.
func (c *coverageData) readRange(q *query, asked candle.Range, now time.Time) {
	from, to := q.seconds("from"), q.seconds("to")
	closed := c.Interval.Truncate(now.Unix())
	end := min(asked.To, closed)
	if to != 0 {
		end = min(to, closed)
	}
	end = min(ceilDay(end), closed)
	begin := max(floorDay(asked.From), floorDay(end-1)-(usualDays-1)*daySeconds)
	if from != 0 {
		begin = floorDay(from)
	}
	if to != 0 && from >= to {
		q.problem("from must be before to")
		return
	}
	most := max(min(mostDays, mostJudgedCandles/leastTokens*c.Interval.Seconds()/daySeconds), 1)
	if days := (ceilDay(end) - begin) / daySeconds; days > most {
		c.Bounded = fmt.Sprintf("Only the last %d of %d days are shown: at %s a page takes no more. Choose an earlier end for the others.", most, days, c.Interval)
		begin = ceilDay(end) - most*daySeconds
	}
	c.Range = candle.Range{From: max(begin, 0), To: end}
}

func floorDay(t int64) int64 { return candle.Interval1d.Truncate(t) }
func ceilDay(t int64) int64  { return candle.Interval1d.Ceil(t) }

// judgeTokens fills in the rows of the page.
func (d *Dashboard) judgeTokens(ctx context.Context, c *coverageData) error {
	tokens, total, err := d.cfg.History.RequestedTokensPage(ctx, c.Interval, c.Range, c.Text, c.PageSize, (c.Page-1)*c.PageSize)
	if err != nil {
		return err
	}
	c.TotalTokens = total
	c.heads()
	sources := c.Sources
	if c.Source != "" {
		sources = []string{c.Source}
	}
	q := backfill.CoverageQuery{
		Sources: nonNil(sources), Validation: c.Validation, Outliers: c.Outliers, Interval: c.Interval, Range: c.Range, Tokens: tokens,
	}
	moment := d.moment(ctx, sources)
	return d.cfg.History.TokenHistories(ctx, q, func(h coverage.TokenHistory) error {
		c.Tokens = append(c.Tokens, c.row(h, moment))
		return nil
	})
}

// moment is when coverage is judged: by the stores' clock, as ingestion plans.
func (d *Dashboard) moment(ctx context.Context, sources []string) coverage.Moment {
	if d.cfg.Moment == nil {
		return coverage.Moment{Now: d.cfg.Now()}
	}
	return d.cfg.Moment(ctx, sources)
}

func (c *coverageData) row(h coverage.TokenHistory, moment coverage.Moment) coveredToken {
	judged := h.Judge(c.Range, moment)
	row := coveredToken{
		Token: h.Token,
		Days:  coverage.CountVerdicts(judged, c.Interval, c.Range, daySeconds),
		Total: coverage.VerdictCounts{Range: c.Range, Candles: make(map[coverage.Verdict]int64)},
	}
	row.Href = tokenPath(h.Token) + "?" + c.tokenQuery(c.Range).Encode()
	for _, day := range row.Days {
		for verdict, n := range day.Candles {
			row.Total.Candles[verdict] += n
		}
		row.Total.Stale += day.Stale
		row.Cells = append(row.Cells, c.cell(h.Token, day))
	}
	return row
}

func (c *coverageData) cell(token candle.Token, day coverage.VerdictCounts) heatCell {
	most := lookOf(day.Most())
	cell := heatCell{
		Class: most.Class, Sign: most.Sign,
		Title: formatDay(day.Range.From) + ": " + countsText(day),
		Href:  tokenPath(token) + "?" + c.tokenQuery(day.Range).Encode(),
	}
	if len(day.Candles) > 1 {
		cell.Class, cell.Parts = "v-mixed", countsParts(day)
	}
	return cell
}

// tokenQuery leads to the token's page with the same question.
func (c *coverageData) tokenQuery(r candle.Range) url.Values {
	values := url.Values{"interval": {c.Interval.String()}, "from": {candle.FormatTime(r.From)}, "to": {candle.FormatTime(r.To)}}
	if c.Source != "" {
		values.Set("source", c.Source)
	}
	if c.Validation != candle.Lenient {
		values.Set("validation", string(c.Validation))
	}
	if c.Outliers != manifest.OutliersKeep {
		values.Set("outliers", string(c.Outliers))
	}
	return values
}

// heads names the columns, and links to the pages before and after.
func (c *coverageData) heads() {
	for day := floorDay(c.Range.From); day < c.Range.To; day += daySeconds {
		at := time.Unix(day, 0).UTC()
		c.Days = append(c.Days, dayHead{Day: at.Day(), Title: formatDay(day), Weekend: at.Weekday() == time.Saturday || at.Weekday() == time.Sunday})
		month := at.Format("Jan 2006")
		if last := len(c.Months) - 1; last >= 0 && c.Months[last].Name == month {
			c.Months[last].Days++
		} else {
			c.Months = append(c.Months, dayGroup{Name: month, Days: 1})
		}
	}
	if c.Page > 1 {
		c.Previous = c.pageHref(min(c.Page-1, c.Pages()))
	}
	if c.Page < c.Pages() {
		c.Next = c.pageHref(c.Page + 1)
	}
}

// Pages is how many pages there are, at least one.
func (c *coverageData) Pages() int { return max((c.TotalTokens+c.PageSize-1)/max(c.PageSize, 1), 1) }

func (c *coverageData) pageHref(number int) string {
	values := c.tokenQuery(candle.Range{From: c.Range.From, To: ceilDay(c.Range.To)})
	if c.Text != "" {
		values.Set("token", c.Text)
	}
	values.Set("page", strconv.Itoa(number))
	return "/coverage?" + values.Encode()
}

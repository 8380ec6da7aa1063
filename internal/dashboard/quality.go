package dashboard

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

type qualityHistory interface {
	QualityByDay(ctx context.Context, f report.QualityFilter) ([]report.QualityDay, error)
	RunSummaries(ctx context.Context, f report.QualityFilter, limit int) ([]backfill.RunSummary, error)
}

const (
	qualityDays    = 30
	mostQualityAge = 732 // days that fit a chart
	// mostExamined bounds how many runs are examined, mostFaulty how many are listed, mostRunBars how many have a bar.
	mostExamined, mostFaulty, mostRunBars = 20_000, 100, 200
)

// qualityData is what the page shows; it is the answer of /api/quality, too.
type qualityData struct {
	Since   time.Time        `json:"since"`
	Until   time.Time        `json:"until"`
	Source  string           `json:"source"` // what the runs asked first; empty = any
	By      string           `json:"by"`     // day or run
	Limits  qualityLimits    `json:"limits"`
	Periods []qualityPeriod  `json:"periods"` // oldest first
	Total   qualityPeriod    `json:"total"`
	Faulty  []backfill.Fault `json:"faulty_runs"` // newest first
	// FaultyRuns is how many there are, Examined of how many.
	FaultyRuns int    `json:"faulty_runs_total"`
	Examined   int    `json:"examined_runs"`
	Bounded    string `json:"bounded,omitempty"`

	Charts []rateChart `json:"-"`
	to     string
}

// qualityLimits are the shares from which on a run is faulty.
type qualityLimits struct {
	ErrorRate      float64 `json:"min_error_rate"`
	ZeroVolumeRate float64 `json:"min_zero_volume_rate"`
	RejectionRate  float64 `json:"min_rejection_rate"`
}

// qualityPeriod adds up the runs of a day, or is one run. Runs that are rolled back are not in it.
type qualityPeriod struct {
	Start time.Time `json:"start"`
	Name  string    `json:"name"` // the day, or the run
	report.QualityDay

	Href string `json:"-"`
}

// ErrorRate is the share of failed chunks.
func (p qualityPeriod) ErrorRate() float64 { return ratio(p.FailedChunks, p.Chunks) }

// RejectionRate is the share of rejected candles.
func (p qualityPeriod) RejectionRate() float64 { return ratio(p.Rejected, p.Fetched) }

// ZeroVolumeRate is the share of candles without volume.
func (p qualityPeriod) ZeroVolumeRate() float64 { return ratio(p.ZeroVolume, p.Fetched) }

// DuplicateRate is the share of candles that brought nothing new.
func (p qualityPeriod) DuplicateRate() float64 { return ratio(p.Deduplicated, p.Fetched) }

func (d *Dashboard) qualityPage() page {
	return page{path: "/quality", template: "quality.html", section: "Quality", load: d.loadQuality}
}

func (d *Dashboard) loadQuality(r *http.Request) (content, error) {
	data := qualityData{Periods: []qualityPeriod{}, Faulty: []backfill.Fault{}}
	q := readQuery(r, d.cfg.Now)
	limits := data.read(q, d.cfg.Now())
	if err := q.err(); err != nil {
		return content{}, err
	}
	filter := report.QualityFilter{Since: data.Since, Until: data.Until, Source: data.Source}
	runs, err := d.cfg.History.RunSummaries(r.Context(), filter, mostExamined)
	if err != nil {
		return content{}, err
	}
	data.examine(runs, limits, d.cfg.Now())
	days, err := d.cfg.History.QualityByDay(r.Context(), filter)
	if err != nil {
		return content{}, err
	}
	data.fill(days, runs)
	data.Charts = rateCharts(&data)
	return content{Title: "Quality", Data: &data}, nil
}

// read takes the question from the address.
func (d *qualityData) read(q *query, now time.Time) backfill.FaultLimits {
	limits := backfill.DefaultFaultLimits()
	limits.ErrorRate = q.share("min_error_rate", limits.ErrorRate)
	limits.ZeroVolumeRate = q.share("min_zero_volume_rate", limits.ZeroVolumeRate)
	limits.RejectionRate = q.share("min_rejection_rate", limits.RejectionRate)
	d.Limits = qualityLimits{limits.ErrorRate, limits.ZeroVolumeRate, limits.RejectionRate}
	d.Source = q.text("source")
	if d.By = q.oneOf("by", "day", "run"); d.By == "" {
		d.By = "day"
	}
	from, to := q.seconds("from"), q.seconds("to")
	d.Until = now.UTC()
	if to != 0 {
		d.Until, d.to = time.Unix(to, 0).UTC(), q.text("to")
	}
	d.Since = d.Until.AddDate(0, 0, -qualityDays).Truncate(24 * time.Hour)
	if from != 0 {
		d.Since = time.Unix(from, 0).UTC()
	}
	if !d.Since.Before(d.Until) {
		q.problem("from must be before to")
	}
	if earliest := d.Until.AddDate(0, 0, -mostQualityAge); d.Since.Before(earliest) {
		d.Since = earliest
		d.Bounded = fmt.Sprintf("Only the last %d days of the range are shown. ", mostQualityAge)
	}
	return limits
}

// examine lists the faulty runs.
func (d *qualityData) examine(runs []backfill.RunSummary, limits backfill.FaultLimits, now time.Time) {
	d.Examined = len(runs)
	for _, run := range runs {
		fault, faulty := limits.Examine(run, now)
		if !faulty {
			continue
		}
		if d.FaultyRuns++; len(d.Faulty) < mostFaulty {
			d.Faulty = append(d.Faulty, fault)
		}
	}
	if len(runs) == mostExamined {
		d.Bounded += fmt.Sprintf("Only the newest %s runs were examined. ", formatCount(mostExamined))
	}
	if d.FaultyRuns > len(d.Faulty) {
		d.Bounded += fmt.Sprintf("Only the newest %d of %s faulty runs are listed: quantbot ohlcv validate-duplicates has them all. ", mostFaulty, formatCount(d.FaultyRuns))
	}
}

// fill makes the periods, and their sum.
func (d *qualityData) fill(days []report.QualityDay, runs []backfill.RunSummary) {
	for _, day := range days {
		d.Total.add(day)
		if d.By == "day" {
			d.Periods = append(d.Periods, qualityPeriod{Start: day.Day, Name: formatDay(day.Day.Unix()), QualityDay: day, Href: d.dayHref(day.Day)})
		}
	}
	d.Total.Start, d.Total.Name = d.Since, "total"
	if d.By == "run" {
		d.Periods = append(d.Periods, runPeriods(runs)...)
		if len(runs) > mostRunBars {
			d.Bounded += fmt.Sprintf("Only the newest %d runs have a bar. ", mostRunBars)
		}
	}
}

func (p *qualityPeriod) add(day report.QualityDay) {
	p.Runs, p.RolledBack, p.Failed = p.Runs+day.Runs, p.RolledBack+day.RolledBack, p.Failed+day.Failed
	p.Chunks, p.FailedChunks = p.Chunks+day.Chunks, p.FailedChunks+day.FailedChunks
	p.Fetched, p.Rejected = p.Fetched+day.Fetched, p.Rejected+day.Rejected
	p.Deduplicated, p.ZeroVolume = p.Deduplicated+day.Deduplicated, p.ZeroVolume+day.ZeroVolume
}

// runPeriods are the newest runs, oldest first. Those that are rolled back are left out, as in days.
func runPeriods(runs []backfill.RunSummary) (periods []qualityPeriod) {
	for i := min(len(runs), mostRunBars) - 1; i >= 0; i-- {
		run := runs[i]
		if run.Status == backfill.StatusRolledBack {
			continue
		}
		p := qualityPeriod{Start: run.StartedAt, Name: run.RunID.String()[:8], Href: "/runs/" + run.RunID.String()}
		p.QualityDay = report.QualityDay{
			Day: run.StartedAt, Runs: 1, Chunks: run.PlannedChunks, FailedChunks: run.FailedChunks,
			Fetched: run.Stats.Fetched, Rejected: run.Stats.Rejected, Deduplicated: run.Stats.Deduplicated, ZeroVolume: run.Stats.ZeroVolume,
		}
		if run.Status == backfill.StatusFailed {
			p.Failed = 1
		}
		periods = append(periods, p)
	}
	return periods
}

// dayHref leads to the runs of a day.
func (d *qualityData) dayHref(day time.Time) string {
	values := url.Values{"by": {"run"}, "from": {day.Format(time.DateOnly)}, "to": {day.AddDate(0, 0, 1).Format(time.DateOnly)}}
	if d.Source != "" {
		values.Set("source", d.Source)
	}
	return "/quality?" + values.Encode()
}

// Bys are the choices of the form.
func (d qualityData) Bys() []string { return []string{"day", "run"} }

// ToText is the end of the range as the form takes it; empty while it is now.
func (d qualityData) ToText() string { return d.to }

package dashboard

import (
	"math"
	"time"
)

// rateChart is the bars of one rate over the periods.
type rateChart struct {
	Name, Means string
	Total       float64 // the rate of all periods together
	Limit       float64 // from which on a run is faulty; 0 = none
	LimitY      float64 // where the limit's line lies, 0 = above the chart
	Top         float64 // the share at the upper edge
	Width       float64
	Height      float64
	Bars        []rateBar
	First, Last string // what stands below the first and the last bar
}

type rateBar struct {
	rect
	Class, Title, Href string
	// Hit reaches over the whole height: small bars are hard to meet.
	Hit rect
}

const (
	rateWidth, rateHeight = 480.0, 90.0
	widestRateBar         = 34.0
)

// rateCharts draws the four rates.
func rateCharts(d *qualityData) []rateChart {
	return []rateChart{
		d.rateChart("Errors", "chunks that failed", d.Limits.ErrorRate, qualityPeriod.ErrorRate),
		d.rateChart("Rejections", "candles that broke a rule", d.Limits.RejectionRate, qualityPeriod.RejectionRate),
		d.rateChart("Zero volume", "candles without volume", d.Limits.ZeroVolumeRate, qualityPeriod.ZeroVolumeRate),
		d.rateChart("Duplicates", "candles that brought nothing new", 0, qualityPeriod.DuplicateRate),
	}
}

func (d *qualityData) rateChart(name, means string, limit float64, rate func(qualityPeriod) float64) rateChart {
	c := rateChart{Name: name, Means: means, Total: rate(d.Total), Limit: limit, Width: rateWidth, Height: rateHeight}
	for _, p := range d.Periods {
		c.Top = max(c.Top, rate(p))
	}
	c.Top = roundRate(c.Top)
	if limit > 0 && limit <= c.Top {
		c.LimitY = round2(rateHeight * (1 - limit/c.Top))
	}
	places, step := d.places()
	for i, p := range d.Periods {
		share := rate(p)
		height := round2(rateHeight * share / c.Top)
		if share > 0 {
			height = max(height, 1.5)
		}
		left := places[i]
		bar := rateBar{
			rect: rect{round2(left + step*0.12), round2(rateHeight - height), round2(step * 0.76), height},
			Hit:  rect{round2(left), 0, round2(step), rateHeight},
			Href: p.Href, Class: "bar", Title: p.Name + ": " + formatPercent(share) + ", " + formatCount(p.Runs) + " run" + plural(p.Runs),
		}
		if limit > 0 && share >= limit {
			bar.Class = "bar-bad"
			bar.Title += ", above the limit"
		}
		c.Bars = append(c.Bars, bar)
	}
	if n := len(d.Periods); n > 0 {
		c.First, c.Last = d.Periods[0].Name, d.Periods[n-1].Name
		if d.By == "day" {
			c.First, c.Last = formatDay(d.Since.Unix()), formatDay(d.Until.Add(-time.Second).Unix())
		}
	}
	return c
}

// places are where the bars begin: days on a line of time, runs one after the other.
func (d *qualityData) places() (places []float64, step float64) {
	slots := float64(len(d.Periods))
	since := d.Since.Truncate(24 * time.Hour)
	if d.By == "day" {
		slots = math.Ceil(d.Until.Sub(since).Hours() / 24)
	}
	step = min(rateWidth/max(slots, 1), widestRateBar)
	for i, p := range d.Periods {
		slot := float64(i)
		if d.By == "day" {
			slot = math.Floor(p.Start.Sub(since).Hours() / 24)
		}
		places = append(places, slot*step)
	}
	return places, step
}

// roundRate is the next round share that holds the rate.
func roundRate(rate float64) float64 {
	for _, top := range []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.5} {
		if rate <= top {
			return top
		}
	}
	return 1
}

func plural(n int64) string {
	if n == 1 {
		return ""
	}
	return "s"
}

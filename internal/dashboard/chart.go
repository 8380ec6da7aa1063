package dashboard

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

// The chart's parts, top to bottom, in units of its view box.
const (
	chartWidth   = 960.0
	priceTop     = 8.0
	priceHeight  = 250.0
	volumeTop    = priceTop + priceHeight + 12
	volumeHeight = 62.0
	stripTop     = volumeTop + volumeHeight + 8
	stripHeight  = 10.0
	chartHeight  = stripTop + stripHeight + 22
	axisWidth    = 72.0 // right of the candles, for prices
	leastStep    = 3.0
)

// chart is a candlestick chart as shapes: prices, volume below, and below that what is known of each bucket.
type chart struct {
	Width, Height                   float64
	Plot                            float64 // where the candles end and the prices begin
	PriceBottom, VolumeBottom       float64
	StripTop, StripHeight, TextLine float64
	Candles                         []candleShape
	Gaps, Strip                     []bandShape
	Prices                          []tick
	Times                           []tick
	Summary                         string // for those who cannot see it
}

// candleShape is one candle: its body and wick in one path.
type candleShape struct {
	Class, Path, Title, Href string
	Volume                   rect
	// Mark is where a candle with several versions carries its sign, 0 = none.
	Mark     float64
	Middle   float64
	Selected *rect
	// Hit is the whole height: small candles are hard to meet.
	Hit rect
}

// bandShape is a stretch of buckets.
type bandShape struct {
	rect
	Class, Title string
}

type rect struct{ X, Y, Width, Height float64 }

type tick struct {
	At   float64
	Text string
}

// drawChart lays the candles of the page out.
func drawChart(t *tokenData) chart {
	first := t.Range.From - t.Range.From%int64(t.Bucket)
	buckets := t.Bucket.count(t.Range)
	step := max((chartWidth-axisWidth)/float64(buckets), leastStep)
	s := scale{first: first, bucket: int64(t.Bucket), step: step}
	s.fit(t.Candles)
	c := chart{
		Plot: round2(step * float64(buckets)), Height: chartHeight, PriceBottom: priceTop + priceHeight, VolumeBottom: volumeTop + volumeHeight,
		StripTop: stripTop, StripHeight: stripHeight, TextLine: chartHeight - 5,
	}
	c.Width = c.Plot + axisWidth
	for i := range t.Candles {
		c.Candles = append(c.Candles, s.shape(&t.Candles[i], t.Bucket, t.at))
	}
	c.Strip = s.bands(t.Coverage, func(coverage.VerdictCounts) bool { return true })
	filled := make(map[int64]bool, len(t.Candles))
	for i := range t.Candles {
		filled[t.Candles[i].OpenTime] = true
	}
	c.Gaps = s.bands(t.Coverage, func(counts coverage.VerdictCounts) bool {
		return !filled[counts.Range.From-counts.Range.From%int64(t.Bucket)]
	})
	for i := range c.Gaps {
		c.Gaps[i].Y, c.Gaps[i].Height = priceTop, priceHeight
		c.Gaps[i].Title = "Gap " + c.Gaps[i].Title
	}
	c.Times = s.timeTicks(t.Range)
	if len(t.Candles) > 0 {
		c.Prices = s.priceTicks()
	}
	c.Summary = summary(t, len(c.Gaps))
	return c
}

// scale maps times and prices to places.
type scale struct {
	first, bucket int64
	step          float64
	low, high     float64
	volume        float64
}

// fit takes the extremes of the candles, with some air.
func (s *scale) fit(candles []chartCandle) {
	s.low, s.high = math.Inf(1), math.Inf(-1)
	for i := range candles {
		s.low, s.high = min(s.low, candles[i].Low), max(s.high, candles[i].High)
		s.volume = max(s.volume, candles[i].Volume)
	}
	if len(candles) == 0 {
		s.low, s.high = 0, 1
	}
	air := (s.high - s.low) * 0.03
	if air == 0 {
		air = max(math.Abs(s.high)*0.05, 1e-12)
	}
	s.low, s.high = s.low-air, s.high+air
}

func (s *scale) x(at int64) float64 { return float64(at-s.first) / float64(s.bucket) * s.step }

func (s *scale) y(price float64) float64 {
	return round2(priceTop + priceHeight*(s.high-price)/(s.high-s.low))
}

func (s *scale) shape(c *chartCandle, b bucket, selected int64) candleShape {
	left := s.x(c.OpenTime)
	width := round2(max(s.step*0.7, 1.5))
	middle := round2(left + s.step/2)
	top, bottom := s.y(max(c.Open, c.Close)), s.y(min(c.Open, c.Close))
	shape := candleShape{
		Class: "up", Href: c.Href, Middle: middle, Title: candleText(c, b),
		Path: fmt.Sprintf("M%g %gV%gM%g %gh%gv%gh-%gz", middle, s.y(c.High), s.y(c.Low), round2(middle-width/2), top, width, round2(max(bottom-top, 1)), width),
	}
	if c.Close < c.Open {
		shape.Class = "down"
	}
	if s.volume > 0 {
		height := round2(volumeHeight * c.Volume / s.volume)
		shape.Volume = rect{round2(middle - width/2), round2(volumeTop + volumeHeight - height), width, height}
	}
	if c.Revised > 0 {
		shape.Mark = volumeTop + volumeHeight + 4
	}
	shape.Hit = rect{round2(left), priceTop, round2(s.step), volumeTop + volumeHeight - priceTop}
	if selected >= c.OpenTime && selected < c.OpenTime+int64(b) {
		shape.Selected = &shape.Hit
	}
	return shape
}

// bands joins neighbouring tallies of the same verdict; only those that are wanted.
func (s *scale) bands(tallies []coverage.VerdictCounts, wanted func(coverage.VerdictCounts) bool) (bands []bandShape) {
	var open coverage.VerdictCounts
	flush := func() {
		if open.Candles != nil {
			bands = append(bands, s.band(open))
		}
		open = coverage.VerdictCounts{}
	}
	for _, t := range tallies {
		switch {
		case !wanted(t):
			flush()
		case open.Candles != nil && open.Range.To == t.Range.From && open.Most() == t.Most():
			open.Range.To, open.Stale = t.Range.To, open.Stale+t.Stale
			for verdict, n := range t.Candles {
				open.Candles[verdict] += n
			}
		default:
			flush()
			open = coverage.VerdictCounts{Range: t.Range, Stale: t.Stale, Candles: make(map[coverage.Verdict]int64, len(t.Candles))}
			for verdict, n := range t.Candles {
				open.Candles[verdict] = n
			}
		}
	}
	flush()
	return bands
}

func (s *scale) band(t coverage.VerdictCounts) bandShape {
	left := round2(s.x(t.Range.From))
	return bandShape{
		rect:  rect{left, stripTop, round2(s.x(t.Range.To) - left), stripHeight},
		Class: lookOf(t.Most()).Class,
		Title: formatMinute(t.Range.From) + " to " + formatMinute(t.Range.To) + ": " + countsText(t),
	}
}

// priceTicks are round prices, about five.
func (s *scale) priceTicks() (ticks []tick) {
	raw := (s.high - s.low) / 5
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, factor := range []float64{1, 2, 2.5, 5, 10} {
		if factor*unit >= raw {
			unit *= factor
			break
		}
	}
	decimals := 0
	for scaled := unit; decimals < 15 && math.Abs(scaled-math.Round(scaled)) > 1e-6*scaled; decimals++ {
		scaled *= 10
	}
	for i := math.Ceil(s.low / unit); i*unit <= s.high; i++ {
		ticks = append(ticks, tick{s.y(i * unit), strconv.FormatFloat(i*unit, 'f', decimals, 64)})
	}
	return ticks
}

// timeSteps are round distances between the labels of times, in seconds.
var timeSteps = []int64{10, 30, 60, 300, 900, 1800, 3600, 2 * 3600, 4 * 3600, 6 * 3600, 12 * 3600, 86_400, 2 * 86_400, 7 * 86_400, 14 * 86_400, 28 * 86_400, 91 * 86_400, 364 * 86_400}

// timeTicks leave 90 units between labels.
func (s *scale) timeTicks(r candle.Range) (ticks []tick) {
	step := timeSteps[len(timeSteps)-1]
	for _, candidate := range timeSteps {
		if float64(candidate)/float64(s.bucket)*s.step >= 90 {
			step = candidate
			break
		}
	}
	layout := "15:04"
	switch {
	case step >= daySeconds:
		layout = "2 Jan 06"
	case r.To-r.From > daySeconds:
		layout = "2 Jan 15:04"
	case step < 60:
		layout = "15:04:05"
	}
	for at := r.From - r.From%step + step; at < r.To; at += step {
		ticks = append(ticks, tick{round2(s.x(at)), time.Unix(at, 0).UTC().Format(layout)})
	}
	return ticks
}

func candleText(c *chartCandle, b bucket) string {
	text := fmt.Sprintf("%s  O %s  H %s  L %s  C %s  volume %s", formatMinute(c.OpenTime), formatPrice(c.Open), formatPrice(c.High), formatPrice(c.Low), formatPrice(c.Close), formatPrice(c.Volume))
	if c.Candles > 1 {
		text += fmt.Sprintf("  (%s candles in %s)", formatCount(c.Candles), b)
	}
	if c.Revised > 0 {
		text += "  several versions"
	}
	return text
}

func summary(t *tokenData, gaps int) string {
	if len(t.Candles) == 0 {
		return fmt.Sprintf("No candle between %s and %s.", formatMinute(t.Range.From), formatMinute(t.Range.To))
	}
	first, last := t.Candles[0], t.Candles[len(t.Candles)-1]
	return fmt.Sprintf("%d candle%s of %s from %s to %s, opening at %s and closing at %s, with %d gap%s. The table below has them all.",
		len(t.Candles), plural(int64(len(t.Candles))), t.Bucket, formatMinute(first.OpenTime), formatMinute(last.OpenTime),
		formatPrice(first.Open), formatPrice(last.Close), gaps, plural(int64(gaps)))
}

// formatMinute is a moment in UTC, with seconds only where there are some.
func formatMinute(unix int64) string {
	at := time.Unix(unix, 0).UTC()
	if at.Second() != 0 {
		return at.Format("2006-01-02 15:04:05")
	}
	return at.Format("2006-01-02 15:04")
}

// formatPrice keeps five digits, without an exponent for what a token may cost.
func formatPrice(price float64) string {
	if price == 0 || math.IsNaN(price) || math.IsInf(price, 0) {
		return strconv.FormatFloat(price, 'g', -1, 64)
	}
	magnitude := int(math.Floor(math.Log10(math.Abs(price))))
	if magnitude < -14 || magnitude > 14 {
		return strconv.FormatFloat(price, 'g', 5, 64)
	}
	text := strconv.FormatFloat(price, 'f', max(4-magnitude, 0), 64)
	return text
}

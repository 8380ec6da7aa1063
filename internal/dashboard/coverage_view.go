package dashboard

import (
	"slices"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// What the forms of the pages choose from, and what stands in their fields.

func validations() []candle.Validation { return []candle.Validation{candle.Lenient, candle.Strict} }

func outlierChoices() []manifest.Outliers {
	return []manifest.Outliers{manifest.OutliersKeep, manifest.OutliersFilter}
}

// Validations are the choices of the form.
func (c coverageData) Validations() []candle.Validation { return validations() }

// OutlierChoices are those of the form.
func (c coverageData) OutlierChoices() []manifest.Outliers { return outlierChoices() }

// IntervalChoices are the intervals that were asked for, and the one that is shown.
func (c coverageData) IntervalChoices() []candle.Interval {
	intervals := c.Intervals()
	if !slices.Contains(intervals, c.Interval) {
		intervals = append(intervals, c.Interval)
	}
	return intervals
}

// FromDate and ToDate are the range as days; empty without one.
func (c coverageData) FromDate() string { return dateField(c.Range.From) }

// ToDate is the first day that is not shown.
func (c coverageData) ToDate() string { return dateField(ceilDay(c.Range.To)) }

// First and Last number the tokens of the page, from 1.
func (c coverageData) First() int { return (c.Page-1)*c.PageSize + 1 }

// Last is the number of the last token of the page.
func (c coverageData) Last() int { return (c.Page-1)*c.PageSize + len(c.Tokens) }

func dateField(unix int64) string {
	if unix <= 0 {
		return ""
	}
	return time.Unix(unix, 0).UTC().Format(time.DateOnly)
}

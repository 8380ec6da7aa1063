package dashboard

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// interval reads the length of a candle, 0 when none is given.
func (q *query) interval(name string) candle.Interval {
	text := q.text(name)
	if text == "" {
		return 0
	}
	interval, err := candle.ParseInterval(text)
	if err != nil {
		q.problem("%s must be one of %s", name, strings.Join(candle.IntervalNames(), ", "))
		return 0
	}
	return interval
}

// seconds is time in Unix seconds; 0 when none is given, so that the first second of 1970 is the second one.
func (q *query) seconds(name string) int64 {
	at := q.time(name)
	if at.IsZero() {
		return 0
	}
	return max(at.Unix(), 1)
}

// share reads a number above 0 and up to 1.
func (q *query) share(name string, missing float64) float64 {
	text := q.text(name)
	if text == "" {
		return missing
	}
	share, err := strconv.ParseFloat(text, 64)
	if err != nil || !(share > 0 && share <= 1) {
		q.problem("%s must be a number above 0 and up to 1", name)
		return missing
	}
	return share
}

// validation reads how strictly candles are validated; lenient when nothing is given.
func (q *query) validation(name string) candle.Validation {
	if v := q.oneOf(name, string(candle.Lenient), string(candle.Strict)); v != "" {
		return candle.Validation(v)
	}
	return candle.Lenient
}

// outliers reads which records count; those with outliers when nothing is given.
func (q *query) outliers(name string) manifest.Outliers {
	if o := q.oneOf(name, string(manifest.OutliersKeep), string(manifest.OutliersFilter)); o != "" {
		return manifest.Outliers(o)
	}
	return manifest.OutliersKeep
}

// usualInterval is a minute where there is one, else the shortest; the intervals are in order.
func usualInterval(intervals []candle.Interval) candle.Interval {
	if len(intervals) == 0 || slices.Contains(intervals, candle.Interval1m) {
		return candle.Interval1m
	}
	return intervals[0]
}

// tokenPath is the path of a token's page.
func tokenPath(token candle.Token) string {
	return "/tokens/" + url.PathEscape(string(token.Chain)) + "/" + url.PathEscape(token.Address)
}

// formatDay is a day as people write it: 5 Jan 2025.
func formatDay(unix int64) string { return time.Unix(unix, 0).UTC().Format("2 Jan 2006") }

func round2(x float64) float64 { return math.Round(100*x) / 100 }

// nonNil makes JSON show an empty list as such.
func nonNil[T any](values []T) []T {
	if values == nil {
		return []T{}
	}
	return values
}

package dashboard

import (
	"net/url"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// Validations are the choices of the form.
func (t tokenData) Validations() []candle.Validation { return validations() }

// OutlierChoices are those of the form.
func (t tokenData) OutlierChoices() []manifest.Outliers { return outlierChoices() }

// FromText and ToText are the range as the form takes it.
func (t tokenData) FromText() string { return momentField(t.Range.From) }

// ToText is the end of the range.
func (t tokenData) ToText() string { return momentField(t.Range.To) }

// RangeText is the range in words.
func (t tokenData) RangeText() string {
	return formatMinute(t.Range.From) + " to " + formatMinute(t.Range.To)
}

// Zoomed reports that the chart shows the candles themselves.
func (t tokenData) Zoomed() bool { return int64(t.Bucket) == t.Interval.Seconds() }

// BucketTitle says what one candle of the chart is.
func (t tokenData) BucketTitle() string {
	if t.Zoomed() {
		return "Candles of " + t.Interval.String()
	}
	return "Candles of " + t.Interval.String() + " in buckets of " + t.Bucket.String()
}

// LastText is the last candle in words.
func (t tokenData) LastText() string { return candleText(&t.Candles[len(t.Candles)-1], t.Bucket) }

// ManyChunks reports that there may be more than those that are listed.
func (t tokenData) ManyChunks() bool { return len(t.Chunks) == shownChunks }

// CoverageHref leads to the token's row of the heat map.
func (t tokenData) CoverageHref() string {
	values := url.Values{"interval": {t.Interval.String()}, "token": {t.Token.Address}, "from": {candle.FormatTime(t.Range.From)}, "to": {candle.FormatTime(t.Range.To)}}
	return "/coverage?" + values.Encode()
}

func momentField(unix int64) string {
	if unix > 0 && unix%daySeconds == 0 {
		return dateField(unix)
	}
	if unix > 0 {
		return candle.FormatTime(unix)
	}
	return ""
}

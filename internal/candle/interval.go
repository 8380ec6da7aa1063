package candle

import (
	"fmt"
	"strings"
	"time"
)

// Interval is the length of a candle in seconds. Only the declared constants are valid; ParseInterval and UnmarshalText
// refuse everything else, so code that holds an Interval need not check it again.
type Interval uint32

// The intervals that quantbot backfills.
const (
	Interval1s  Interval = 1
	Interval15s Interval = 15
	Interval1m  Interval = 60
	Interval5m  Interval = 300
	Interval15m Interval = 900
	Interval1h  Interval = 3600
	Interval4h  Interval = 14400
	Interval1d  Interval = 86400
)

var intervalNames = []struct {
	interval Interval
	name     string
}{
	{Interval1s, "1s"},
	{Interval15s, "15s"},
	{Interval1m, "1m"},
	{Interval5m, "5m"},
	{Interval15m, "15m"},
	{Interval1h, "1h"},
	{Interval4h, "4h"},
	{Interval1d, "1d"},
}

// ParseInterval reads "1s", "15s", "1m", "5m", "15m", "1h", "4h" or "1d". Case matters: "1M" is a month elsewhere.
func ParseInterval(s string) (Interval, error) {
	for _, n := range intervalNames {
		if n.name == s {
			return n.interval, nil
		}
	}
	return 0, fmt.Errorf("unknown interval %q (known: %s)", s, strings.Join(IntervalNames(), ", "))
}

// Intervals are all of them, the shortest first.
func Intervals() []Interval {
	intervals := make([]Interval, len(intervalNames))
	for i, n := range intervalNames {
		intervals[i] = n.interval
	}
	return intervals
}

// IntervalNames are the names of Intervals.
func IntervalNames() []string {
	names := make([]string, len(intervalNames))
	for i, n := range intervalNames {
		names[i] = n.name
	}
	return names
}

// String returns the interval's name as ParseInterval reads it.
func (i Interval) String() string {
	for _, n := range intervalNames {
		if n.interval == i {
			return n.name
		}
	}
	return fmt.Sprintf("Interval(%d)", uint32(i))
}

// Seconds is the length of a candle.
func (i Interval) Seconds() int64 { return int64(i) }

// Duration is the length of a candle.
func (i Interval) Duration() time.Duration { return time.Duration(i) * time.Second }

// Truncate returns the open time of the candle that contains t (Unix seconds, also before 1970).
func (i Interval) Truncate(t int64) int64 {
	step := int64(i)
	rest := t % step
	if rest < 0 {
		rest += step
	}
	return t - rest
}

// Ceil returns the first candle open time that is not before t.
func (i Interval) Ceil(t int64) int64 {
	open := i.Truncate(t)
	if open < t {
		open += int64(i)
	}
	return open
}

// Next returns the open time of the candle after the one that contains t.
func (i Interval) Next(t int64) int64 { return i.Truncate(t) + int64(i) }

// ClosedBefore returns the end of the closed candles at now, in Unix seconds: a candle that opens before it has closed at least
// the settle delay ago.
func (i Interval) ClosedBefore(settle time.Duration, now time.Time) int64 {
	return i.Truncate(now.Add(-settle).Unix())
}

// OnGrid reports whether t is an open time of this interval.
func (i Interval) OnGrid(t int64) bool { return i.Truncate(t) == t }

// MarshalText writes the interval's name.
func (i Interval) MarshalText() ([]byte, error) { return []byte(i.String()), nil }

// UnmarshalText reads what MarshalText wrote and refuses unknown intervals.
func (i *Interval) UnmarshalText(text []byte) error {
	parsed, err := ParseInterval(string(text))
	if err != nil {
		return err
	}
	*i = parsed
	return nil
}

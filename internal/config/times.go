package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// timeLayouts are what ParseTime reads; those without a zone are UTC.
var timeLayouts = []string{ //nolint:gochecknoglobals // a constant table
	time.RFC3339Nano,
	"2006-01-02T15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"2006-01-02",
}

// ParseTime reads 2024-01-01, 2024-01-01T10:00, RFC 3339, "now", or a time before now such as -7d. Without a zone it is
// UTC. Years outside 1970 to 2105, which ClickHouse's DateTime cannot hold, are refused.
func ParseTime(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	if s == "now" {
		return now.UTC(), nil
	}
	if strings.HasPrefix(s, "-") {
		ago, err := ParseDuration(s[1:])
		if err != nil {
			return time.Time{}, fmt.Errorf("time %q: %w", s, err)
		}
		return now.UTC().Add(-ago), nil
	}
	for _, layout := range timeLayouts {
		t, err := time.Parse(layout, s)
		if err != nil {
			continue
		}
		if t.Year() < 1970 || t.Year() > 2105 {
			return time.Time{}, fmt.Errorf("time %q is outside 1970 to 2105", s)
		}
		return t.UTC(), nil
	}
	return time.Time{}, fmt.Errorf("time %q is not like 2024-01-01, 2024-01-01T10:00:00Z or -7d", s)
}

// ParseDuration reads what time.ParseDuration reads, and days and weeks: 7d, 2w, 36h. 0 needs no unit.
func ParseDuration(s string) (time.Duration, error) {
	unit, digits := time.Duration(0), s
	switch {
	case strings.HasSuffix(s, "d"):
		unit, digits = 24*time.Hour, s[:len(s)-1]
	case strings.HasSuffix(s, "w"):
		unit, digits = 7*24*time.Hour, s[:len(s)-1]
	default:
		d, err := time.ParseDuration(s)
		if err != nil {
			return 0, fmt.Errorf("duration %q is not like 7d, 12h or 90m", s)
		}
		return d, nil
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	const most = 100 * 366 * 24 * time.Hour
	if err != nil || n < 0 || n > int64(most/unit) {
		return 0, fmt.Errorf("duration %q is not like 7d, 12h or 90m", s)
	}
	return time.Duration(n) * unit, nil
}

package config

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// timeLayouts are what ParseTime reads; those without a zone are UTC.
var timeLayouts = []string{
	time.RFC3339Nano,
	"2006-01-02T15:04Z07:00",
	"2006-01-02T15:04:05",
	"2006-01-02T15:04",
	"2006-01-02 15:04:05",
	"2006-01-02 15:04",
	"2006-01-02",
}

// ParseTime reads 2024-01-01, 2024-01-01T10:00, RFC 3339, "now", or a time before now such as -7d (or 7d, as in
// --since 7d). Without a zone it is UTC, and so is what it returns. Years outside 1970 to 2105, which ClickHouse's
// DateTime cannot hold, are refused.
func ParseTime(s string, now time.Time) (time.Time, error) {
	s = strings.TrimSpace(s)
	t, err := readTime(s, now)
	if err != nil {
		return time.Time{}, err
	}
	t = t.UTC()
	if t.Year() < 1970 || t.Year() > 2105 {
		return time.Time{}, fmt.Errorf("time %q is outside 1970 to 2105", s)
	}
	return t, nil
}

func readTime(s string, now time.Time) (time.Time, error) {
	if s == "now" {
		return now, nil
	}
	for _, layout := range timeLayouts {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	ago, err := ParseDuration(strings.TrimPrefix(s, "-"))
	if err != nil || ago < 0 {
		return time.Time{}, fmt.Errorf("time %q is not like 2024-01-01, 2024-01-01T10:00:00Z or -7d", s)
	}
	return now.Add(-ago), nil
}

// maxDuration keeps sums of durations far from overflow.
const maxDuration = 100 * 365 * 24 * time.Hour

var (
	weeksAndDays = regexp.MustCompile(`^(?:(\d+)w)?(?:(\d+)d)?`)

	errDuration = errors.New("not a duration like 7d, 1d12h or 90m")
)

// ParseDuration reads what time.ParseDuration reads with whole weeks and days before it: 7d, 2w, 1d12h, -90m. A bare 0
// needs no unit. At most 100 years.
func ParseDuration(s string) (time.Duration, error) {
	digits, negative := strings.CutPrefix(s, "-")
	d, err := parseUnsigned(digits)
	if err != nil {
		return 0, fmt.Errorf("duration %q: %w", s, err)
	}
	if negative {
		d = -d
	}
	return d, nil
}

func parseUnsigned(s string) (time.Duration, error) {
	match := weeksAndDays.FindStringSubmatch(s)
	rest := s[len(match[0]):]
	if s == "" || strings.HasPrefix(rest, "-") || strings.HasPrefix(rest, "+") {
		return 0, errDuration
	}
	days := 7*count(match[1]) + count(match[2])
	if rest == "" {
		rest = "0"
	}
	d, err := time.ParseDuration(rest)
	if err != nil {
		return 0, errDuration
	}
	if days > int64(maxDuration/(24*time.Hour)) || d > maxDuration {
		return 0, errors.New("longer than 100 years")
	}
	if d += time.Duration(days) * 24 * time.Hour; d > maxDuration {
		return 0, errors.New("longer than 100 years")
	}
	return d, nil
}

// count reads digits; more than 32 bits of them become the largest, which is too long in any unit.
func count(digits string) int64 {
	n, _ := strconv.ParseUint(digits, 10, 32) // "" is 0
	return int64(n)
}

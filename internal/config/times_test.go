package config

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestParseTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.FixedZone("x", 7200))
	for in, want := range map[string]string{
		"2024-01-01": "2024-01-01T00:00:00Z", "2024-01-01T10:00": "2024-01-01T10:00:00Z", "2024-01-01 10:00": "2024-01-01T10:00:00Z",
		"2024-01-01T10:00:07": "2024-01-01T10:00:07Z", "2024-01-01 10:00:07": "2024-01-01T10:00:07Z", "2024-01-01T10:00Z": "2024-01-01T10:00:00Z",
		"2024-01-01T10:00:00+02:00": "2024-01-01T08:00:00Z", "2024-01-01T10:00:00.5Z": "2024-01-01T10:00:00.5Z",
		"-7d": "2026-01-03T10:00:00Z", "-90m": "2026-01-10T08:30:00Z", "-1w1d1h": "2026-01-02T09:00:00Z",
		"30d": "2025-12-11T10:00:00Z", "now": "2026-01-10T10:00:00Z", " -7d ": "2026-01-03T10:00:00Z",
		"1970-01-01": "1970-01-01T00:00:00Z", "2105-12-31": "2105-12-31T00:00:00Z",
	} {
		got, err := ParseTime(in, now)
		require.NoError(t, err, in)
		require.Equal(t, want, got.Format(time.RFC3339Nano), in)
	}
	for _, in := range []string{"", "yesterday", "2024", "2024-13-01", "2024-02-30", "01/02/2024", "-7x", "-", "--7d", "--90m", "+7d", "-+90m"} {
		_, err := ParseTime(in, now)
		require.ErrorContains(t, err, "is not like 2024-01-01", in)
	}
	for _, in := range []string{"1969-12-31", "2106-01-01", "-57y", "-21000d"} {
		_, err := ParseTime(in, now)
		require.Error(t, err, in)
	}
	_, err := ParseTime("1970-01-01T00:00:00+01:00", now)
	require.ErrorContains(t, err, "outside 1970 to 2105")
}

func TestParseDuration(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for in, want := range map[string]time.Duration{
		"0": 0, "-0": 0, "0d": 0, "7d": 7 * day, "2w": 14 * day, "1w2d": 9 * day, "1d12h30m": 36*time.Hour + 30*time.Minute,
		"90m": 90 * time.Minute, "1.5h": 90 * time.Minute, "-7d": -7 * day, "-90m": -90 * time.Minute, "36500d": 36500 * day,
	} {
		got, err := ParseDuration(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got, in)
	}
	for _, in := range []string{"", "-", "d", "7", "7x", "1.5d", "1d2w", "1d-1h", "1d+1h", "--1h", "+1h", "1h1d", "soon", " 1h"} {
		_, err := ParseDuration(in)
		require.ErrorContains(t, err, "not a duration", in)
	}
	for _, in := range []string{"36501d", "5300w", "36500d1s", "99999999999999999999w", "2562047h"} {
		_, err := ParseDuration(in)
		require.ErrorContains(t, err, "longer than 100 years", in)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2024-01-01", "-7d", "now", "2024-01-01T10:00:00+02:00", "-99999999999w", "-1w2d3h", "--1h"} {
		f.Add(seed)
	}
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTime(s, now)
		if err != nil {
			return
		}
		if got.Location() != time.UTC || got.Year() < 1970 || got.Year() > 2105 {
			t.Fatalf("ParseTime(%q) = %v", s, got)
		}
		again, err := ParseTime(got.Format(time.RFC3339Nano), now)
		if err != nil || !again.Equal(got) {
			t.Fatalf("ParseTime(%q) = %v, which reads as %v, %v", s, got, again, err)
		}
	})
}

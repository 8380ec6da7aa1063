package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func env(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := Load(env())
	require.NoError(t, err)
	require.Equal(t, "redis://127.0.0.1:6379/0", cfg.RedisURL.Reveal())
	require.Equal(t, "127.0.0.1:9000", cfg.ClickHouse.Address())
	require.Equal(t, "quantbot", cfg.ClickHouse.Database)
	require.Equal(t, Birdeye{BaseURL: "https://public-api.birdeye.so", RPS: 15}, cfg.Birdeye)
	require.Equal(t, 7*24*time.Hour, cfg.RollbackWindow)
}

func TestLoadNamesEveryWrongVariableAndNoSecret(t *testing.T) {
	t.Parallel()
	_, err := Load(env("REDIS_URL", "http://u:hunter2@x", "CLICKHOUSE_PORT", "0", "BIRDEYE_RPS", "NaN",
		"BIRDEYE_BASE_URL", "ftp://x", "QUANTBOT_ROLLBACK_WINDOW", "soon"))
	require.Error(t, err)
	for _, name := range []string{"REDIS_URL", "CLICKHOUSE_PORT", "BIRDEYE_RPS", "BIRDEYE_BASE_URL", "QUANTBOT_ROLLBACK_WINDOW"} {
		require.ErrorContains(t, err, name)
	}
	require.NotContains(t, err.Error(), "hunter2")
}

func TestSecretIsNeverPrinted(t *testing.T) {
	t.Parallel()
	cfg, err := Load(env("CLICKHOUSE_PASSWORD", "hunter2", "BIRDEYE_API_KEY", "hunter2", "REDIS_URL", "redis://:hunter2@r:1"))
	require.NoError(t, err)
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "cfg", cfg, "key", cfg.Birdeye.APIKey)
	encoded, err := json.Marshal(cfg)
	require.NoError(t, err)
	for _, text := range []string{fmt.Sprintf("%v %+v %#v %s %q", cfg, cfg, cfg, cfg.Birdeye.APIKey, cfg.Birdeye.APIKey), log.String(), string(encoded)} {
		require.NotContains(t, text, "hunter2")
		require.Contains(t, text, "***")
	}
}

func TestParseTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.FixedZone("x", 7200))
	for in, want := range map[string]string{
		"2024-01-01": "2024-01-01T00:00:00Z", "2024-01-01T10:00": "2024-01-01T10:00:00Z",
		"2024-01-01T10:00:00+02:00": "2024-01-01T08:00:00Z", "-7d": "2026-01-03T10:00:00Z", "-90m": "2026-01-10T08:30:00Z",
		"now": "2026-01-10T10:00:00Z",
	} {
		got, err := ParseTime(in, now)
		require.NoError(t, err, in)
		require.Equal(t, want, got.Format(time.RFC3339), in)
	}
	for _, in := range []string{"", "yesterday", "2024-13-01", "-7x", "1969-01-01", "-"} {
		_, err := ParseTime(in, now)
		require.Error(t, err, in)
	}
}

func FuzzParseTime(f *testing.F) {
	for _, seed := range []string{"2024-01-01", "-7d", "now", "2024-01-01T10:00:00+02:00", "-99999999999w"} {
		f.Add(seed)
	}
	now := time.Date(2026, 1, 10, 12, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := ParseTime(s, now)
		if err == nil && (got.Location() != time.UTC || (!strings.HasPrefix(strings.TrimSpace(s), "-") && got.Year() < 1969)) {
			t.Fatalf("ParseTime(%q) = %v", s, got)
		}
	})
}

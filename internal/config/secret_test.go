package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/source/register"
)

// Everything a Config can hold is secret here, so whatever way of printing forgets one shows it.
func TestNoSecretIsEverPrinted(t *testing.T) {
	t.Parallel()
	const sensitive = "hunter2"
	cfg, err := register.LoadConfig(env(
		"REDIS_URL", "redis://:hunter2@r:1", "CLICKHOUSE_PASSWORD", sensitive, "CLICKHOUSE_DSN", "clickhouse://u:hunter2@h/db",
		"BIRDEYE_API_KEY", sensitive, "BIRDEYE_API_KEY_1", sensitive+"-1", "QUANTBOT_ALERT_WEBHOOK_URL", "https://hooks.example/hunter2",
		"QUANTBOT_ALERT_WEBHOOK_SECRET", sensitive, "QUANTBOT_DASHBOARD_TOKEN", sensitive,
	))
	require.NoError(t, err)
	require.Equal(t, sensitive, cfg.DashboardToken.Reveal())

	var texts []string
	for _, value := range []any{cfg, &cfg, cfg.Sources["birdeye"], cfg.Sources, cfg.Sources["birdeye"].Keys, cfg.DashboardToken} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%10.3s"} {
			texts = append(texts, fmt.Sprintf(verb, value))
		}
		encoded, err := json.Marshal(value)
		require.NoError(t, err)
		var log bytes.Buffer
		slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "value", value)
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "value", value)
		texts = append(texts, fmt.Sprint(value), fmt.Errorf("wrapped: %v", value).Error(), string(encoded), log.String())
	}
	hex := fmt.Sprintf("%x", sensitive)
	for _, text := range texts {
		require.NotContains(t, text, sensitive)
		require.NotContains(t, strings.ToLower(text), hex)
		require.Contains(t, text, "***")
	}
}

package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/source/register"
)

// Everything a Config can hold is secret here, so whatever way of printing forgets one shows it.
func TestNoSecretIsEverPrinted(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	cfg, err := register.LoadConfig(env(
		"REDIS_URL", "redis://:hunter2@r:1", "CLICKHOUSE_PASSWORD", secret, "CLICKHOUSE_DSN", "clickhouse://u:hunter2@h/db",
		"BIRDEYE_API_KEY", secret, "BIRDEYE_API_KEY_1", secret+"-1", "QUANTBOT_ALERT_WEBHOOK_URL", "https://hooks.example/hunter2",
		"QUANTBOT_ALERT_WEBHOOK_SECRET", secret, "QUANTBOT_DASHBOARD_TOKEN", secret,
	))
	require.NoError(t, err)
	require.Equal(t, secret, cfg.DashboardToken.Reveal())

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
	hex := fmt.Sprintf("%x", secret)
	for _, text := range texts {
		require.NotContains(t, text, secret)
		require.NotContains(t, strings.ToLower(text), hex)
		require.Contains(t, text, "***")
	}
}

func TestEmptySecretShowsThatItIsEmpty(t *testing.T) {
	t.Parallel()
	require.Equal(t, `|""|""|`, fmt.Sprintf("%v|%q|%#v|", config.Secret(""), config.Secret(""), config.Secret("")))
	encoded, err := json.Marshal(config.Secret(""))
	require.NoError(t, err)
	require.Equal(t, `""`, string(encoded))
}

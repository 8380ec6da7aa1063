package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/secret"
	"quantbot/internal/source/register"
)

func TestSecretsAreThoseOfTheEnvironment(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"BIRDEYE_API_KEY": "key-number-0", "BIRDEYE_API_KEY_2": "key-number-2", "CLICKHOUSE_PASSWORD": "clickhouse-password",
		"REDIS_URL": "redis://user:redis-password@host/0", "CLICKHOUSE_DSN": "clickhouse://host:9000/db?password=dsn-password",
		"QUANTBOT_ALERT_WEBHOOK_URL": "https://hooks.example.org/services/T0/B0/credential", "QUANTBOT_ALERT_WEBHOOK_SECRET": "webhook-secret",
		"QUANTBOT_DASHBOARD_TOKEN": "dashboard-token",
	}
	require.ElementsMatch(t, []secret.Text{
		"key-number-0", "key-number-2", "clickhouse-password", "redis-password", "dsn-password", "/services/T0/B0/credential", "webhook-secret", "dashboard-token",
	}, register.Secrets(func(name string) string { return environment[name] }))
	environment = map[string]string{
		"REDIS_URL":                          "redis-sentinel://u:redis-password@a:1,b,[::1]:3/2?master=m&sentinel_password=sentinel-password",
		"CLICKHOUSE_DSN":                     "clickhouse://u:dsn-password@h1:9000,h2/db",
		"OTEL_EXPORTER_OTLP_ENDPOINT":        "https://u:gateway-password@gateway.example", // which travels as dTpnYXRld2F5LXBhc3N3b3Jk
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "https://gateway-token@gateway.example",
		"OTEL_EXPORTER_OTLP_HEADERS":         "api-key=traces-key,Authorization=Bearer%20traces-token",
		"QUANTBOT_ALERT_WEBHOOK_URL":         "https://chat.example/?key=webhook-key",
	}
	require.ElementsMatch(t, []secret.Text{
		"redis-password", "sentinel-password", "dsn-password", "gateway-password", "dTpnYXRld2F5LXBhc3N3b3Jk", "gateway-token", "Z2F0ZXdheS10b2tlbjo=",
		"traces-key", "traces-token", "webhook-key",
	}, register.Secrets(func(name string) string { return environment[name] }))
	require.Empty(t, register.Secrets(func(string) string { return "" }))
}

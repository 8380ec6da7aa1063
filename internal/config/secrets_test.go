package config

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretsAreThoseOfTheEnvironment(t *testing.T) {
	t.Parallel()
	environment := map[string]string{
		"BIRDEYE_API_KEY": "key-number-0", "BIRDEYE_API_KEY_2": "key-number-2", "CLICKHOUSE_PASSWORD": "clickhouse-password",
		"REDIS_URL": "redis://user:redis-password@host/0", "CLICKHOUSE_DSN": "clickhouse://host:9000/db?password=dsn-password",
		"QUANTBOT_ALERT_WEBHOOK_URL": "https://hooks.example.org/services/T0/B0/credential", "QUANTBOT_ALERT_WEBHOOK_SECRET": "webhook-secret",
		"QUANTBOT_DASHBOARD_TOKEN": "dashboard-token",
	}
	require.ElementsMatch(t, []Secret{
		"key-number-0", "key-number-2", "clickhouse-password", "redis-password", "dsn-password", "/services/T0/B0/credential", "webhook-secret", "dashboard-token",
	}, Secrets(func(name string) string { return environment[name] }))
	require.Empty(t, Secrets(func(string) string { return "" }))
}

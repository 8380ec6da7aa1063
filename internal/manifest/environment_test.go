package manifest_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/source/register"
)

func TestEnvironmentHoldsNoSecret(t *testing.T) {
	t.Parallel()
	set := map[string]string{
		"REDIS_URL": "rediss://user:hunter2@redis:6379/0", "CLICKHOUSE_PASSWORD": "hunter2", "BIRDEYE_API_KEY": "hunter2",
		"BIRDEYE_API_KEY_1": "hunter2", "BIRDEYE_API_KEY_16": "hunter2", "BIRDEYE_API_KEY_17": "hunter2",
		"CLICKHOUSE_DSN": "clickhouse://u:hunter2@h/db", "HOME": "/home/me", "AWS_SECRET_ACCESS_KEY": "hunter2", "CLICKHOUSE_HOST": "ch",
		"BIRDEYE_BASE_URL": "https://x.example/?api_key=hunter2&a=1", "BINANCE_BASE_URL": "http://u:hunter2@[bad",
		"DUCKDB_PATH": "md:calls?motherduck_token=hunter2", "QUANTBOT_ALERT_WEBHOOK_URL": "https://hooks.example/hunter2",
		"QUANTBOT_ALERT_WEBHOOK_SECRET": "hunter2", "QUANTBOT_DASHBOARD_TOKEN": "hunter2", "CLICKHOUSE_USER": "",
	}
	env := register.Environment(func(name string) string { return set[name] })
	require.Equal(t, map[string]string{
		"REDIS_URL": "rediss://user:***@redis:6379/0", "CLICKHOUSE_PASSWORD": "***", "BIRDEYE_API_KEY": "***",
		"BIRDEYE_API_KEY_1": "***", "BIRDEYE_API_KEY_16": "***",
		"CLICKHOUSE_DSN": "clickhouse://u:***@h/db", "CLICKHOUSE_HOST": "ch",
		"BIRDEYE_BASE_URL": "https://x.example/?api_key=***&a=1", "BINANCE_BASE_URL": "***",
		"DUCKDB_PATH": "md:calls?motherduck_token=***", "QUANTBOT_ALERT_WEBHOOK_URL": "***",
		"QUANTBOT_ALERT_WEBHOOK_SECRET": "***", "QUANTBOT_DASHBOARD_TOKEN": "***",
	}, env)
}

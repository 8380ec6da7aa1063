package config_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/secret"
	"quantbot/internal/source/register"
)

func env(pairs ...string) func(string) string {
	values := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		values[pairs[i]] = pairs[i+1]
	}
	return func(name string) string { return values[name] }
}

// urls are base URLs by their variables.
func urls(pairs ...string) map[string]string {
	byVariable := make(map[string]string)
	for i := 0; i < len(pairs); i += 2 {
		byVariable[pairs[i]] = pairs[i+1]
	}
	return byVariable
}

// sources are what is read of the environment, with the settings that the sources declare and the defaults of those left out.
func sources(read map[string]config.Source) map[string]config.Source {
	for _, sheet := range register.Sheets() {
		source, given := read[sheet.Name]
		source.Settings = sheet.SourceSettings
		if !given {
			source.Rate, source.BaseURLs = sheet.Rate.Default, urls(sheet.Places[0].Variable, sheet.Places[0].Default)
		}
		read[sheet.Name] = source
	}
	return read
}

// parsed is what a URL that the test knows to be right says.
func parsed(t *testing.T, url secret.Text) *config.Redis {
	t.Helper()
	r, err := config.ParseRedis(url)
	require.NoError(t, err, url.Reveal())
	return r
}

func TestLoadDefaults(t *testing.T) {
	t.Parallel()
	cfg, err := register.LoadConfig(env())
	require.NoError(t, err)
	require.Equal(t, config.Config{
		Redis:      parsed(t, "redis://127.0.0.1:6379/0"),
		ClickHouse: config.ClickHouse{Host: "127.0.0.1", Port: 9000, Database: "quantbot", User: "default"},
		Sources: sources(map[string]config.Source{
			"birdeye":       {BaseURLs: urls("BIRDEYE_BASE_URL", "https://public-api.birdeye.so"), Rate: 15},
			"geckoterminal": {BaseURLs: urls("GECKOTERMINAL_BASE_URL", "https://api.geckoterminal.com/api/v2"), Rate: 20},
			"binance":       {BaseURLs: urls("BINANCE_BASE_URL", "https://data-api.binance.vision", "BINANCE_DUMP_URL", "https://data.binance.vision"), Rate: 90},
		}),
		RollbackWindow: 7 * 24 * time.Hour,
		SweepCron:      "30 3 * * *",
		Alerts:         config.Alerts{ErrorRate: 0.1},
	}, cfg)
}

func TestLoadReadsEverything(t *testing.T) {
	t.Parallel()
	cfg, err := register.LoadConfig(env(
		"REDIS_URL", "rediss://:pw@r:1/2", "CLICKHOUSE_HOST", " ch ", "CLICKHOUSE_PORT", "19000", "CLICKHOUSE_HTTP_PORT", "18123",
		"CLICKHOUSE_DATABASE", "db", "CLICKHOUSE_USER", "u", "CLICKHOUSE_PASSWORD", " p ", "CLICKHOUSE_DSN", "clickhouse://u:p@a:1,b/db?secure=true",
		"BIRDEYE_API_KEY_3", "k3", "BIRDEYE_API_KEY", "k\n", "BIRDEYE_API_KEY_1", "k", "BIRDEYE_API_KEY_16", "k16",
		"BIRDEYE_BASE_URL", "http://127.0.0.1:8080/", "BIRDEYE_RPS", "0.5", "GECKOTERMINAL_BASE_URL", "http://g/v2/", "GECKOTERMINAL_RPM", "10",
		"BINANCE_BASE_URL", "http://b", "BINANCE_DUMP_URL", "http://d/",
		"QUANTBOT_ROLLBACK_WINDOW", "0", "QUANTBOT_SWEEP_CRON", "@daily",
		"QUANTBOT_ALERT_WEBHOOK_URL", "https://hooks.example/x?y=z", "QUANTBOT_ALERT_WEBHOOK_SECRET", "s", "QUANTBOT_ALERT_ERROR_RATE", "1",
		"QUANTBOT_DASHBOARD_TOKEN", "t",
	))
	require.NoError(t, err)
	require.Contains(t, cfg.Secrets, secret.Text("pw"))
	cfg.Secrets = nil
	require.Equal(t, config.Config{
		Redis: parsed(t, "rediss://:pw@r:1/2"),
		ClickHouse: config.ClickHouse{
			Host: "ch", Port: 19000, Database: "db", User: "u", Password: " p ", DSN: "clickhouse://u:p@a:1,b/db?secure=true",
		},
		Sources: sources(map[string]config.Source{
			"birdeye":       {Keys: []secret.Text{"k", "k3", "k16"}, BaseURLs: urls("BIRDEYE_BASE_URL", "http://127.0.0.1:8080"), Rate: 0.5},
			"geckoterminal": {BaseURLs: urls("GECKOTERMINAL_BASE_URL", "http://g/v2"), Rate: 10},
			"binance":       {BaseURLs: urls("BINANCE_BASE_URL", "http://b", "BINANCE_DUMP_URL", "http://d"), Rate: 90},
		}),
		SweepCron:      "@daily",
		Alerts:         config.Alerts{WebhookURL: "https://hooks.example/x?y=z", WebhookSecret: "s", ErrorRate: 1},
		DashboardToken: "t",
	}, cfg)
	require.Equal(t, "a:1,b", cfg.ClickHouse.Address())
	require.Equal(t, "[::1]:9000", config.ClickHouse{Host: "::1", Port: 9000}.Address())
}

func TestLoadListsEveryProblemAtOnceWithoutSecrets(t *testing.T) {
	t.Parallel()
	cfg, err := register.LoadConfig(env(
		"REDIS_URL", "http://u:hunter2@x", "CLICKHOUSE_PORT", "0", "CLICKHOUSE_HTTP_PORT", "65536", "CLICKHOUSE_DSN", "u:hunter2@h",
		"BIRDEYE_RPS", "NaN", "BIRDEYE_BASE_URL", "ftp://x", "GECKOTERMINAL_BASE_URL", "https://u:hunter2@h", "BINANCE_BASE_URL", "https://h?k=hunter2",
		"QUANTBOT_ROLLBACK_WINDOW", "soon", "QUANTBOT_SWEEP_CRON", "daily", "QUANTBOT_ALERT_WEBHOOK_URL", "hunter2", "QUANTBOT_ALERT_ERROR_RATE", "10%",
	))
	require.Equal(t, config.Config{}, cfg)
	require.EqualError(t, err, `REDIS_URL: the scheme is not redis, redis-socket, redis-sentinel, redis-cluster, rediss, rediss-sentinel or rediss-cluster
CLICKHOUSE_PORT: "0" is not a port, 1 to 65535
CLICKHOUSE_HTTP_PORT: "65536" is not a port, 1 to 65535
CLICKHOUSE_DSN: not a DSN such as clickhouse://user:password@host:9000/database; in a password @ / ? # and % must be percent-encoded
BIRDEYE_BASE_URL: not an http:// or https:// URL
BIRDEYE_RPS: "NaN" is not a number of requests per second, above 0 and at most 1000000
GECKOTERMINAL_BASE_URL: a base URL has no user, query or fragment
BINANCE_BASE_URL: a base URL has no user, query or fragment
QUANTBOT_ROLLBACK_WINDOW: "soon" is not a duration such as 7d, 12h or 0
QUANTBOT_SWEEP_CRON: "daily" is not a schedule such as "30 3 * * *" or @daily
QUANTBOT_ALERT_WEBHOOK_URL: not an http:// or https:// URL
QUANTBOT_ALERT_ERROR_RATE: "10%" is not a share, 0 to 1`)
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{
		{"CLICKHOUSE_PORT", "-1"}, {"CLICKHOUSE_PORT", "nine"}, {"CLICKHOUSE_DSN", "clickhouse:///db"}, {"CLICKHOUSE_DSN", "clickhouse://u:p/w@h"},
		{"BIRDEYE_RPS", "0"}, {"BIRDEYE_RPS", "-1"}, {"BIRDEYE_RPS", "Inf"}, {"BIRDEYE_RPS", "x"}, {"BIRDEYE_BASE_URL", "https://"},
		{"BIRDEYE_BASE_URL", "https://:80"}, {"BIRDEYE_BASE_URL", "https://a b"}, {"QUANTBOT_ROLLBACK_WINDOW", "-7d"},
		{"QUANTBOT_SWEEP_CRON", "TZ=UTC"}, {"QUANTBOT_SWEEP_CRON", "CRON_TZ=Asia/Tokyo 0 3 * * *"}, {"QUANTBOT_SWEEP_CRON", "* * * * * *"},
		{"QUANTBOT_ALERT_ERROR_RATE", "-0.1"}, {"QUANTBOT_ALERT_ERROR_RATE", "1.1"}, {"QUANTBOT_ALERT_ERROR_RATE", "NaN"},
	} {
		_, err := register.LoadConfig(env(c[0], c[1]))
		require.ErrorContains(t, err, c[0]+": ", "%s=%s", c[0], c[1])
	}
}

// A key with a line break in it was once taken: no request could be sent with it, and the run waited for ever.
func TestLoadRefusesLineBreaksInWhatIsOneLine(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"BIRDEYE_API_KEY", "BIRDEYE_API_KEY_3", "CLICKHOUSE_PASSWORD", "CLICKHOUSE_USER", "CLICKHOUSE_HOST", "CLICKHOUSE_DATABASE", "CLICKHOUSE_DSN",
		"REDIS_URL", "QUANTBOT_DASHBOARD_TOKEN", "QUANTBOT_ALERT_WEBHOOK_URL", "QUANTBOT_ALERT_WEBHOOK_SECRET", "BIRDEYE_BASE_URL", "BINANCE_DUMP_URL",
	} {
		prefix := map[string]string{
			"REDIS_URL": "redis://:", "CLICKHOUSE_DSN": "clickhouse://h/", "QUANTBOT_ALERT_WEBHOOK_URL": "https://h/", "BIRDEYE_BASE_URL": "https://h/", "BINANCE_DUMP_URL": "https://h/",
		}[name]
		for _, inside := range []string{"\n", "\r", "\x00", "\x1b", "\t"} {
			_, err := register.LoadConfig(env(name, prefix+"hunter2"+inside+"more@h"))
			require.ErrorContains(t, err, name+": ", "%q", inside)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "\n", "one sentence")
		}
	}
	for _, key := range []string{"ab cd", "ab\u200bcd", "ключ", "ab\u202ecd"} {
		_, err := register.LoadConfig(env("BIRDEYE_API_KEY_1", key))
		require.ErrorContains(t, err, "BIRDEYE_API_KEY_1: a key has no blanks and nothing but ASCII")
	}
	cfg, err := register.LoadConfig(env("BIRDEYE_API_KEY", " key\r\n", "CLICKHOUSE_PASSWORD", " p \n", "QUANTBOT_DASHBOARD_TOKEN", "t\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"key", " p ", "t"}, []string{cfg.Sources["birdeye"].Keys[0].Reveal(), cfg.ClickHouse.Password.Reveal(), cfg.DashboardToken.Reveal()})
}

// A manifest explains a run by its environment, so every variable read here must be on the manifest's allow-list.
func TestManifestsRecordEveryVariable(t *testing.T) {
	t.Parallel()
	var read []string
	_, err := register.LoadConfig(func(name string) string {
		read = append(read, name)
		return ""
	})
	require.NoError(t, err)
	recorded := register.Environment(func(string) string { return "set" })
	for _, name := range read {
		require.Contains(t, recorded, name)
	}
	require.Contains(t, read, "BIRDEYE_API_KEY_16")
}

// Set to nothing is not the same as not set.
func TestPublishedFilesCanBeLeftOut(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		environment map[string]string
		want        string
	}{
		"not set": {nil, "https://data.binance.vision"},
		"empty":   {map[string]string{"BINANCE_DUMP_URL": ""}, ""},
		"off":     {map[string]string{"BINANCE_DUMP_URL": "off"}, ""},
		"set":     {map[string]string{"BINANCE_DUMP_URL": "http://d/"}, "http://d"},
	} {
		cfg, err := register.LoadConfig(register.Getenv(func(name string) (string, bool) { value, set := test.environment[name]; return value, set }))
		require.NoError(t, err, name)
		require.Equal(t, test.want, cfg.Sources["binance"].BaseURLs["BINANCE_DUMP_URL"], name)
	}
}

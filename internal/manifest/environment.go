package manifest

import (
	"net/url"
	"strings"
)

// Redacted stands where a secret was.
const Redacted = "***"

// environmentNames is the allow-list of variables that explain a run; what is not here never reaches a row.
var environmentNames = []string{ //nolint:gochecknoglobals // a constant table
	"REDIS_URL", "CLICKHOUSE_HOST", "CLICKHOUSE_PORT", "CLICKHOUSE_HTTP_PORT", "CLICKHOUSE_DATABASE", "CLICKHOUSE_USER",
	"BIRDEYE_BASE_URL", "BIRDEYE_RPS", "GECKOTERMINAL_BASE_URL", "BINANCE_BASE_URL", "DUCKDB_PATH",
	"QUANTBOT_ROLLBACK_WINDOW", "QUANTBOT_SWEEP_CRON", "QUANTBOT_ALERT_ERROR_RATE",
}

// secretNames are recorded as set, never with their value.
var secretNames = []string{ //nolint:gochecknoglobals // a constant table
	"CLICKHOUSE_PASSWORD", "CLICKHOUSE_DSN", "BIRDEYE_API_KEY", "QUANTBOT_ALERT_WEBHOOK_URL",
	"QUANTBOT_ALERT_WEBHOOK_SECRET", "QUANTBOT_DASHBOARD_TOKEN",
}

// Environment returns the allow-listed variables that are set, with secrets as *** and without passwords in URLs.
func Environment(getenv func(string) string) map[string]string {
	env := make(map[string]string)
	for _, name := range environmentNames {
		if value := getenv(name); value != "" {
			env[name] = RedactURL(value)
		}
	}
	for _, name := range secretNames {
		if getenv(name) != "" {
			env[name] = Redacted
		}
	}
	return env
}

// secretParameters are query parameters whose values RedactURL hides, by a part of their lower-case name.
var secretParameters = []string{"key", "token", "secret", "password", "auth"} //nolint:gochecknoglobals // a constant table

// RedactURL hides the password and secret query parameters of a URL. Text that is no URL is returned as it is; text that
// looks like one and cannot be parsed is hidden as a whole.
func RedactURL(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	u, err := url.Parse(text)
	if err != nil {
		return Redacted
	}
	userinfo := ""
	if u.User != nil {
		userinfo = url.User(u.User.Username()).String()
		if _, has := u.User.Password(); has {
			userinfo += ":" + Redacted
		}
		userinfo += "@"
		u.User = nil
	}
	u.RawQuery = redactQuery(u.RawQuery)
	scheme, rest, _ := strings.Cut(u.String(), "://")
	return scheme + "://" + userinfo + rest
}

func redactQuery(raw string) string {
	if raw == "" {
		return ""
	}
	parts := strings.Split(raw, "&")
	for i, part := range parts {
		name, _, _ := strings.Cut(part, "=")
		for _, secret := range secretParameters {
			if strings.Contains(strings.ToLower(name), secret) {
				parts[i] = name + "=" + Redacted
			}
		}
	}
	return strings.Join(parts, "&")
}

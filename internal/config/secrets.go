package config

import (
	"net/url"
	"strconv"
	"strings"
)

// Secrets are the values of the environment that no log, row or page may show, whatever text of others repeats them: keys,
// passwords (those inside of URLs, too) and tokens.
func Secrets(getenv func(string) string) []Secret {
	var values []string
	for _, name := range []string{"BIRDEYE_API_KEY", "CLICKHOUSE_PASSWORD", "QUANTBOT_ALERT_WEBHOOK_SECRET", "QUANTBOT_DASHBOARD_TOKEN"} {
		values = append(values, getenv(name))
	}
	for i := 1; i <= maxNumberedKeys; i++ {
		values = append(values, getenv("BIRDEYE_API_KEY_"+strconv.Itoa(i)))
	}
	for _, name := range []string{"REDIS_URL", "CLICKHOUSE_DSN"} {
		values = append(values, passwords(getenv(name))...)
	}
	if webhook, err := url.Parse(getenv("QUANTBOT_ALERT_WEBHOOK_URL")); err == nil && len(webhook.Path) > 1 {
		values = append(values, webhook.Path) // chat services put the credential there
	}
	var secrets []Secret
	for _, value := range values {
		if value = strings.TrimSpace(value); value != "" {
			secrets = append(secrets, Secret(value))
		}
	}
	return secrets
}

// passwords are those of a URL: beside the user, and in a parameter.
func passwords(raw string) (found []string) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil
	}
	if password, set := u.User.Password(); set {
		found = append(found, password)
	}
	for _, name := range []string{"password", "sentinel_password"} {
		found = append(found, u.Query().Get(name))
	}
	return found
}

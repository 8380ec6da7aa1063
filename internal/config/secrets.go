package config

import (
	"encoding/base64"
	"net/url"
	"strings"

	"quantbot/internal/secret"
)

// Secrets are the values of the environment that no log, row or page may show, whatever text of others repeats them: the keys of
// these sources, passwords (those inside of URLs, too) and tokens.
func Secrets(getenv func(string) string, declared []SourceSettings) []secret.Text {
	names := []string{"CLICKHOUSE_PASSWORD", "QUANTBOT_ALERT_WEBHOOK_SECRET", "QUANTBOT_DASHBOARD_TOKEN"}
	for _, settings := range declared {
		names = append(names, settings.Keys()...)
	}
	var values []string
	for _, name := range names {
		values = append(values, getenv(name))
	}
	for _, name := range []string{"REDIS_URL", "CLICKHOUSE_DSN"} {
		values = append(values, passwords(getenv(name))...)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"} {
		values = append(values, login(getenv(name))...)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"} {
		values = append(values, headerValues(getenv(name))...)
	}
	values = append(values, credentials(getenv("QUANTBOT_ALERT_WEBHOOK_URL"))...)
	var secrets []secret.Text
	for _, value := range values {
		if value = strings.TrimSpace(value); value != "" {
			secrets = append(secrets, secret.Text(value))
		}
	}
	return secrets
}

// passwords are those of a store's URL: beside the user, and in a parameter. It may name several hosts.
func passwords(raw string) (found []string) {
	u, _, err := splitURL(raw)
	if err != nil {
		if u, err = url.Parse(raw); err != nil {
			return nil
		}
	}
	if password, set := u.User.Password(); set {
		found = append(found, password)
	}
	for _, name := range []string{"password", "sentinel_password"} {
		found = append(found, u.Query().Get(name))
	}
	return found
}

// login is what stands beside the host of a URL, as it is and as it travels. A user without a password is a token.
// Sources' URLs have none: Load refuses it.
func login(raw string) []string {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil || u.User == nil {
		return nil
	}
	password, set := u.User.Password()
	if !set {
		password = u.User.Username()
	}
	sent, _ := u.User.Password()
	return []string{password, base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + sent))}
}

// headerValues are those of a list such as name=value,name=value, percent-encoded.
func headerValues(list string) (values []string) {
	for pair := range strings.SplitSeq(list, ",") {
		_, value, _ := strings.Cut(pair, "=")
		if decoded, err := url.PathUnescape(value); err == nil {
			value = decoded
		}
		// Of "Bearer abc" the word is none.
		fields := strings.Fields(value)
		if len(fields) > 0 {
			values = append(values, fields[len(fields)-1])
		}
	}
	return values
}

// credentials are the parts of a webhook's URL: chat services put theirs into the path or a parameter.
func credentials(raw string) []string {
	u, err := url.Parse(strings.TrimSpace(raw))
	if err != nil {
		return nil
	}
	found := login(raw)
	if len(u.Path) > 1 {
		found = append(found, u.Path)
	}
	for _, values := range u.Query() {
		found = append(found, values...)
	}
	return found
}

package manifest

import "strconv"

// Redacted stands where a secret was.
const Redacted = "***"

// MaxNumberedKeys is how many numbered keys a source may have: BIRDEYE_API_KEY_1 to BIRDEYE_API_KEY_16.
const MaxNumberedKeys = 16

// disclosure says what of a variable's value may be recorded.
type disclosure func(value string) string

func asSecret(string) string { return Redacted }

// recorded is the allow-list of variables that explain a run; what is not here never reaches a row. A new variable needs
// the strictest disclosure that still explains the run.
var recorded = map[string]disclosure{
	"REDIS_URL":                     RedactURL,
	"CLICKHOUSE_HOST":               Redact,
	"CLICKHOUSE_PORT":               Redact,
	"CLICKHOUSE_HTTP_PORT":          Redact,
	"CLICKHOUSE_DATABASE":           Redact,
	"CLICKHOUSE_USER":               Redact,
	"CLICKHOUSE_PASSWORD":           asSecret,
	"CLICKHOUSE_DSN":                RedactURL,
	"BIRDEYE_API_KEY":               asSecret,
	"BIRDEYE_BASE_URL":              RedactURL,
	"BIRDEYE_RPS":                   Redact,
	"GECKOTERMINAL_BASE_URL":        RedactURL,
	"GECKOTERMINAL_RPM":             Redact,
	"BINANCE_BASE_URL":              RedactURL,
	"BINANCE_DUMP_URL":              RedactURL,
	"DUCKDB_PATH":                   Redact,
	"QUANTBOT_ROLLBACK_WINDOW":      Redact,
	"QUANTBOT_SWEEP_CRON":           Redact,
	"QUANTBOT_ALERT_WEBHOOK_URL":    asSecret, // chat services put the credential into the path
	"QUANTBOT_ALERT_WEBHOOK_SECRET": asSecret,
	"QUANTBOT_ALERT_ERROR_RATE":     Redact,
	"QUANTBOT_DASHBOARD_TOKEN":      asSecret,

	"OTEL_SDK_DISABLED":                  Redact,
	"OTEL_TRACES_EXPORTER":               Redact,
	"OTEL_EXPORTER_OTLP_PROTOCOL":        Redact,
	"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": Redact,
	"OTEL_EXPORTER_OTLP_ENDPOINT":        RedactURL,
	"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": RedactURL,
	"OTEL_EXPORTER_OTLP_HEADERS":         asSecret,
	"OTEL_EXPORTER_OTLP_TRACES_HEADERS":  asSecret,
}

// Environment returns the allow-listed variables that are set, with secrets as *** and without passwords in URLs.
func Environment(getenv func(string) string) map[string]string {
	env := make(map[string]string)
	add := func(name string, disclose disclosure) {
		if value := getenv(name); value != "" {
			env[name] = disclose(value)
		}
	}
	for name, disclose := range recorded {
		add(name, disclose)
	}
	for i := 1; i <= MaxNumberedKeys; i++ {
		add("BIRDEYE_API_KEY_"+strconv.Itoa(i), asSecret)
	}
	return env
}

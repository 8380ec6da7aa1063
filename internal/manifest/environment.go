package manifest

// Redacted stands where a secret was.
const Redacted = "***"

// Disclosure returns what of a variable's value may be recorded.
type Disclosure func(value string) string

// AsSecret discloses that a value is set, and nothing of it.
func AsSecret(string) string { return Redacted }

// recorded is the allow-list of variables that explain a run; what is not here never reaches a row, except what the data sheets of
// the sources declare. A new variable needs the strictest disclosure that still explains the run.
var recorded = map[string]Disclosure{
	"REDIS_URL":                     RedactURL,
	"CLICKHOUSE_HOST":               Redact,
	"CLICKHOUSE_PORT":               Redact,
	"CLICKHOUSE_HTTP_PORT":          Redact,
	"CLICKHOUSE_DATABASE":           Redact,
	"CLICKHOUSE_USER":               Redact,
	"CLICKHOUSE_PASSWORD":           AsSecret,
	"CLICKHOUSE_DSN":                RedactURL,
	"DUCKDB_PATH":                   Redact,
	"QUANTBOT_ROLLBACK_WINDOW":      Redact,
	"QUANTBOT_SWEEP_CRON":           Redact,
	"QUANTBOT_ALERT_WEBHOOK_URL":    AsSecret, // chat services put the credential into the path
	"QUANTBOT_ALERT_WEBHOOK_SECRET": AsSecret,
	"QUANTBOT_ALERT_ERROR_RATE":     Redact,
	"QUANTBOT_DASHBOARD_TOKEN":      AsSecret,

	"OTEL_SDK_DISABLED":                  Redact,
	"OTEL_TRACES_EXPORTER":               Redact,
	"OTEL_EXPORTER_OTLP_PROTOCOL":        Redact,
	"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": Redact,
	"OTEL_EXPORTER_OTLP_ENDPOINT":        RedactURL,
	"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": RedactURL,
	"OTEL_EXPORTER_OTLP_HEADERS":         AsSecret,
	"OTEL_EXPORTER_OTLP_TRACES_HEADERS":  AsSecret,
}

// Environment returns the allow-listed variables that are set, with secrets as *** and without passwords in URLs. sources are the
// variables that the sources declare.
func Environment(getenv func(string) string, sources map[string]Disclosure) map[string]string {
	env := make(map[string]string)
	for _, list := range []map[string]Disclosure{recorded, sources} {
		for name, disclose := range list {
			if value := getenv(name); value != "" {
				env[name] = disclose(value)
			}
		}
	}
	return env
}

package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/source/register"
)

func TestTracesAreOnWhenACollectorIsNamed(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT"
	for _, c := range []struct {
		vars []string
		on   bool
	}{
		{nil, false},
		{[]string{endpoint, "http://127.0.0.1:4318"}, true},
		{[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://c/v1/traces"}, true},
		{[]string{"OTEL_TRACES_EXPORTER", "otlp"}, true},
		{[]string{endpoint, "http://c", "OTEL_TRACES_EXPORTER", "none"}, false},
		{[]string{endpoint, "http://c", "OTEL_SDK_DISABLED", "True"}, false},
		{[]string{endpoint, "http://c", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/protobuf"}, true},
		{[]string{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}, false}, // meant for other programs
	} {
		cfg, err := register.LoadConfig(env(c.vars...))
		require.NoError(t, err, c.vars)
		require.Equal(t, c.on, cfg.Traces, c.vars)
	}
}

func TestTracesThatCannotBeSent(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, problem string }{
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "localhost:4317", "not an http:// or https:// URL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@c", "a collector's URL has no user, query or fragment; a token goes into OTEL_EXPORTER_OTLP_HEADERS"},
		{"OTEL_TRACES_EXPORTER", "console", `"console" is not otlp or none`},
	} {
		_, err := register.LoadConfig(env(c.name, c.value))
		require.EqualError(t, err, c.name+": "+c.problem)
	}
	_, err := register.LoadConfig(env("OTEL_TRACES_EXPORTER", "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"))
	require.EqualError(t, err, `OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not http/protobuf, which is the only one here`)
}

package config

import (
	"net/url"
	"strings"
)

// traces reports by OpenTelemetry's standard variables whether spans are sent: when a collector is named, or the exporter is,
// and nothing says otherwise.
func (r *reader) traces() bool {
	disabled := strings.EqualFold(r.text("OTEL_SDK_DISABLED", "false"), "true")
	exporter := strings.ToLower(r.text("OTEL_TRACES_EXPORTER", ""))
	protocol := r.text("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", r.text("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"))
	named := r.collector("OTEL_EXPORTER_OTLP_ENDPOINT")
	named = r.collector("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") || named
	switch exporter {
	case "none":
		return false
	case "", "otlp":
	default:
		r.problem("OTEL_TRACES_EXPORTER", "%q is not otlp or none", exporter)
	}
	on := !disabled && (named || exporter == "otlp")
	if on && protocol != "http/protobuf" {
		r.problem("OTEL_EXPORTER_OTLP_PROTOCOL", "%q is not http/protobuf, which is the only one here", protocol)
	}
	return on
}

// collector checks the URL of a collector and reports whether there is one.
func (r *reader) collector(name string) bool {
	value := r.text(name, "")
	if value == "" {
		return false
	}
	switch u, err := url.Parse(value); {
	case err != nil || !isHTTP(u):
		r.problem(name, "not an http:// or https:// URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		r.problem(name, "a collector's URL has no user, query or fragment; a token goes into OTEL_EXPORTER_OTLP_HEADERS")
	}
	return true
}

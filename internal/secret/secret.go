// Package secret has the one type of values that must not be seen.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// Text is a value that must not be seen. Every way to print it gives *** ("" when it is empty); Reveal is the only way
// to the value. Keep it in exported fields: fmt prints what is in unexported ones without asking it.
type Text string

const hidden = "***"

// Reveal returns the value, for the one place that sends it.
func (s Text) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (s Text) String() string {
	if s == "" {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter, so that no verb, not %x or %d either, gets at the value.
func (s Text) Format(f fmt.State, verb rune) {
	text := s.String()
	if verb == 'q' || f.Flag('#') {
		text = `"` + text + `"`
	}
	_, _ = io.WriteString(f, text) // fmt.State has nowhere to report an error
}

// LogValue implements slog.LogValuer.
func (s Text) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler.
func (s Text) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

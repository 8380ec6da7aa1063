package wiring

import (
	"fmt"
	"io"
	"log/slog"

	"quantbot/internal/manifest"
)

// LogFormats are those of the flag --log-format.
func LogFormats() []string { return []string{"text", "json"} }

// CheckLogFormat refuses what is none of LogFormats.
func CheckLogFormat(format string) error {
	if format != "text" && format != "json" {
		return fmt.Errorf("--log-format %q is neither text nor json", format)
	}
	return nil
}

// LogHandler writes records a line each, as key=value or as JSON, with the run and chunk that the context names.
func LogHandler(w io.Writer, format string, level slog.Leveler) slog.Handler {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return manifest.LogHandler(slog.NewJSONHandler(w, options))
	}
	return manifest.LogHandler(slog.NewTextHandler(w, options))
}

package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"quantbot/internal/publicjson"
)

func (a *app) printJSON(v any) error { return encodeJSON(a.stdout, v) }

func encodeJSON(w io.Writer, v any) error {
	encoded, err := publicjson.MarshalIndent(v)
	if err != nil {
		return fmt.Errorf("encode JSON: %w", err)
	}
	_, err = w.Write(append(encoded, '\n'))
	return err
}

// field is a line of a printed run.
type field struct{ name, value string }

func (a *app) printFields(fields []field) {
	width := 0
	for _, f := range fields {
		width = max(width, len(f.name))
	}
	for _, f := range fields {
		if f.value != "" {
			line := fmt.Sprintf("  %-*s  %s", width, f.name, f.value)
			fmt.Fprintln(a.stdout, wrapped(line, terminalWidth(a.data), strings.Repeat(" ", width+4)))
		}
	}
}

// say prints a line for people, broken to the width of the terminal.
func (a *app) say(line string) {
	fmt.Fprintln(a.stdout, wrapped(line, terminalWidth(a.data), "    "))
}

// counted writes a number with its noun: "1 chunk", "2 chunks".
func counted[N ~int | ~int64 | ~uint64](n N, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// grouped writes a number for people: 1,440.
func grouped(n int64) string {
	digits := []byte(fmt.Sprint(n))
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = slices.Insert(digits, i, ',')
	}
	return string(digits)
}

// formatTime writes a time for people: UTC, to the second.
func formatTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05")
}

func formatUnix(unix int64) string { return formatTime(time.Unix(unix, 0)) }

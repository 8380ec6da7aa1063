package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"quantbot/internal/clickhouse"
)

// sqlPrompt asks for statements until there are no more. What a statement does wrong is said, and the next one asked for.
func (a *app) sqlPrompt(ctx context.Context, history *clickhouse.DB, o *sqlOptions) error {
	file := a.stdin.(*os.File) // statements saw that it is a terminal
	lines := term.NewTerminal(struct {
		io.Reader
		io.Writer
	}{file, a.screen}, "sql> ")
	for {
		statement, err := readStatement(file, lines)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return fmt.Errorf("read the terminal: %w", err)
		}
		if statement == "" {
			continue
		}
		if err := a.sql(ctx, history, statement, o); err != nil {
			fmt.Fprintln(a.stderr, err)
		}
	}
}

// readStatement reads lines up to one that ends with a semicolon, with the terminal's keys in our hands while it does.
func readStatement(file *os.File, lines *term.Terminal) (string, error) {
	before, err := term.MakeRaw(int(file.Fd()))
	if err != nil {
		return "", err
	}
	defer func() { _ = term.Restore(int(file.Fd()), before) }() // it was possible a moment ago
	defer lines.SetPrompt("sql> ")
	if width, height, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		_ = lines.SetSize(width, height) // only a broken terminal refuses
	}
	var typed strings.Builder
	for {
		line, err := lines.ReadLine()
		if err != nil {
			return "", err
		}
		typed.WriteString(line + "\n")
		if trimmed := strings.TrimSpace(typed.String()); trimmed == "" || strings.HasSuffix(trimmed, ";") {
			return strings.TrimSuffix(trimmed, ";"), nil
		}
		lines.SetPrompt("...> ")
	}
}

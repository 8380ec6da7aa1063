package cli

import (
	"io"
	"os"
	"strings"

	"github.com/jedib0t/go-pretty/v6/text"
	"golang.org/x/term"
)

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// terminalWidth is how many columns the terminal has that w leads to, asked anew each time because it may be resized; 0 where
// there is none.
func terminalWidth(w io.Writer) int {
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil {
		return 0
	}
	return width
}

// wrapped breaks a line into lines of at most width columns, each but the first behind the indent: between words, and within
// one that is longer than a line. Where there is no terminal, width is 0 and the line stays whole.
func wrapped(line string, width int, indent string) string {
	room := width - len(indent)
	if room <= 0 || text.StringWidth(line) <= width {
		return line
	}
	var b strings.Builder
	column := 0
	for i, word := range strings.Split(line, " ") {
		if i > 0 && column+1+min(text.StringWidth(word), room) > width && column > len(indent) {
			b.WriteString("\n" + indent)
			column = len(indent)
		} else if i > 0 {
			b.WriteByte(' ')
			column++
		}
		for _, r := range word {
			if column+text.RuneWidth(r) > width {
				b.WriteString("\n" + indent)
				column = len(indent)
			}
			b.WriteRune(r)
			column += text.RuneWidth(r)
		}
	}
	return b.String()
}

// folded writes text for people whose lines are broken to the width of the terminal, if there is one.
type folded struct {
	to    io.Writer
	width func() int
}

// Write implements io.Writer.
func (f folded) Write(p []byte) (int, error) {
	width := f.width()
	if width == 0 {
		return f.to.Write(p)
	}
	var b strings.Builder
	for line := range strings.Lines(string(p)) {
		text, ended := strings.CutSuffix(line, "\n")
		b.WriteString(wrapped(text, width, "  "))
		if ended {
			b.WriteByte('\n')
		}
	}
	if _, err := io.WriteString(f.to, b.String()); err != nil {
		return 0, err
	}
	return len(p), nil
}

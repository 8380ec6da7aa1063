package candle

import (
	"io"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable returns the text with everything that a terminal or a browser would obey instead of showing (escape sequences,
// characters that turn or hide what follows) written out as in JSON: \u202e. Line breaks and tabs stay. Names of tokens and
// responses of services come from strangers: shown as they are, one name could pass for another.
func Printable(text string) string {
	if !strings.ContainsFunc(text, obeyed) {
		return text
	}
	var b strings.Builder
	for i, c := range text {
		if c == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(text[i:]); size == 1 {
				writeEscaped(&b, rune(text[i]))
				continue
			}
		}
		if obeyed(c) && c != utf8.RuneError {
			writeEscaped(&b, c)
			continue
		}
		b.WriteRune(c)
	}
	return b.String()
}

// obeyed reports whether the character does something instead of being seen. A RuneError may stand for a byte that is no
// UTF-8: some terminals take 0x9b for the beginning of an escape sequence.
func obeyed(c rune) bool {
	switch c {
	case '\n', '\t':
		return false
	case utf8.RuneError:
		return true
	}
	return unicode.In(c, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point)
}

// writeEscaped writes \uXXXX, twice where UTF-16 needs two: JSON stays JSON of the same meaning.
func writeEscaped(b *strings.Builder, c rune) {
	units := utf16.AppendRune(nil, c)
	for _, unit := range units {
		digits := strconv.FormatUint(uint64(unit), 16)
		b.WriteString(`\u` + strings.Repeat("0", 4-len(digits)) + digits)
	}
}

// PrintableWriter passes on what is written to it as Printable has it. A character may come in two writes. It is safe for concurrent
// use: each write is whole on w, loggers and messages share one.
func PrintableWriter(w io.Writer) io.Writer { return &printableWriter{to: w} }

type printableWriter struct {
	mu   sync.Mutex
	to   io.Writer
	rest []byte // the beginning of a character whose end has not come yet
}

// Write implements io.Writer.
func (w *printableWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.rest, p...)
	whole := len(text)
	for start := max(0, len(text)-utf8.UTFMax+1); start < len(text); start++ {
		if utf8.RuneStart(text[start]) && !utf8.FullRune(text[start:]) {
			whole = start
			break
		}
	}
	if _, err := io.WriteString(w.to, Printable(string(text[:whole]))); err != nil {
		return 0, err
	}
	w.rest = append([]byte(nil), text[whole:]...)
	return len(p), nil
}

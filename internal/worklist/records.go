package worklist

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"strings"
)

const (
	// maxLine bounds a line, and a row over several lines, in bytes of UTF-8; the longest address has 44 characters.
	maxLine = 64 << 10
	// maxLines bounds how many lines the quoted cells of one row may span.
	maxLines = 100
)

// record is a line, or as many as the quoted cells of a row span.
type record struct {
	line int // of its beginning, from 1
	// first is its first line, trimmed.
	first string
	cells []string
	// malformed: its quotes are not as CSV has them. cells are missing then.
	malformed error
}

// records cuts text into lines, and lines into cells. It holds one record in memory.
type records struct {
	lines *bufio.Scanner
	// number is of the line that was read last.
	number int
	// separators are those that the header may show, separator the one that counts.
	separators []rune
	separator  rune
	again      *string
}

func newRecords(text io.Reader) *records {
	lines := bufio.NewScanner(text)
	lines.Buffer(nil, maxLine)
	lines.Split(splitLines)
	return &records{lines: lines, separators: []rune{',', ';', '\t', '|'}, separator: ','}
}

// splitLines is bufio.ScanLines that knows a lone carriage return for the end of a line, too.
func splitLines(data []byte, atEOF bool) (advance int, token []byte, err error) {
	at := bytes.IndexAny(data, "\r\n")
	switch {
	case at < 0 && (!atEOF || len(data) == 0):
		return 0, nil, nil
	case at < 0:
		return len(data), data, nil
	case data[at] == '\n':
		return at + 1, data[:at], nil
	case at+1 < len(data) && data[at+1] == '\n':
		return at + 2, data[:at], nil
	case at+1 == len(data) && !atEOF:
		return 0, nil, nil // a line feed may follow
	}
	return at + 1, data[:at], nil
}

// line returns the next line that is not empty, trimmed; io.EOF after the last.
func (r *records) line() (string, error) {
	if r.again != nil {
		again := *r.again
		r.again = nil
		return again, nil
	}
	for r.lines.Scan() {
		r.number++
		// Files that were joined may have a byte order mark at each beginning. A tab at an end is an empty cell.
		if text := strings.TrimPrefix(strings.Trim(r.lines.Text(), " \u00a0"), "\ufeff"); strings.TrimSpace(text) != "" {
			return strings.Trim(text, " \u00a0"), nil
		}
	}
	switch err := r.lines.Err(); {
	case err == nil:
		return "", io.EOF
	case errors.Is(err, bufio.ErrTooLong):
		return "", inputErrorf("has a line above %d bytes (line %d): it is no list of tokens", maxLine, r.number+1)
	default:
		return "", err
	}
}

// putBack makes the line the next one.
func (r *records) putBack(line string) { r.again = &line }

// next returns the next record; io.EOF after the last.
func (r *records) next() (record, error) {
	first, err := r.line()
	if err != nil {
		return record{}, err
	}
	found := record{line: r.number, first: first}
	text := first
	for n := 1; ; n++ {
		if found.cells, err = splitLine(text, r.separator); err == nil {
			return found, nil
		}
		open := isOpen(text, r.separator) && !strings.HasPrefix(first, "#") // a comment is one line
		switch {
		case !open && n == 1:
			found.malformed = err
			return found, nil
		case !open, n == maxLines, len(text) > maxLine:
			return found, unclosed(found)
		}
		if !r.lines.Scan() {
			if r.lines.Err() != nil && !errors.Is(r.lines.Err(), bufio.ErrTooLong) {
				return found, r.lines.Err()
			}
			return found, unclosed(found)
		}
		r.number++
		text += "\n" + r.lines.Text()
	}
}

// unclosed refuses the file: which of the next lines belong to the row cannot be known, so none may be left out quietly.
func unclosed(r record) error {
	return inputErrorf("has a quote on line %d that is not closed as in CSV: %q", r.line, clipped(r.first))
}

// splitLine returns the cells without empty ones at the end.
func splitLine(text string, separator rune) (cells []string, err error) {
	if strings.Contains(text, `"`) {
		rows := csv.NewReader(strings.NewReader(text))
		rows.Comma = separator
		rows.FieldsPerRecord = -1
		rows.TrimLeadingSpace = separator != '\t' // which is a space, too
		if cells, err = rows.Read(); err != nil {
			return nil, err
		}
	} else {
		cells = strings.Split(text, string(separator)) // the same, without a reader for each of a million lines
	}
	for len(cells) > 1 && strings.TrimSpace(cells[len(cells)-1]) == "" {
		cells = cells[:len(cells)-1]
	}
	return cells, nil
}

// isOpen reports whether the text, which is no whole row, would be one if its last quote were closed.
func isOpen(text string, separator rune) bool {
	_, err := splitLine(text+`"`, separator)
	return err == nil
}

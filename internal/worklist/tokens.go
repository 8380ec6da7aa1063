package worklist

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"quantbot/internal/candle"
)

// ParseToken reads "address", which is taken to be on the chain, or "chain:address".
func ParseToken(s string, chain candle.Chain) (candle.Token, error) {
	address := strings.TrimSpace(s)
	if name, rest, found := strings.Cut(address, ":"); found {
		named, err := candle.ParseChain(name)
		if err != nil {
			return candle.Token{}, inputErrorf("token %q: %v", s, err)
		}
		chain, address = named, rest
	}
	token, err := candle.NewToken(chain, address)
	if err != nil {
		return candle.Token{}, inputErrorf("%v", err)
	}
	return token, nil
}

// ReadTokenFile is ReadTokens of a file, which may be a pipe.
func ReadTokenFile(ctx context.Context, path string, chain candle.Chain) (List, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return List{}, inputErrorf("there is no file %s", path)
	case err != nil:
		return List{}, inputErrorf("cannot open %s: %v", path, err)
	case info.IsDir():
		return List{}, inputErrorf("%s is a directory, not a list of tokens", path)
	}
	return readTokens(ctx, func() (io.ReadCloser, error) { return os.Open(path) }, path, chain)
}

// ReadTokens reads a list of tokens: one "address" or "chain:address" a line, or CSV with a header. The columns that count are
// the first of tokenColumns that the header names and, where it names one, the first of chainColumns; other columns may be
// there. Cells are separated by comma, semicolon, tab or |, whichever the header shows. The text is UTF-8 or UTF-16.
//
// Empty lines and lines that begin with # are left out. Lines that cannot be understood are skipped, counted and listed; a header
// that names no known column is refused, and so is a file whose quotes leave open where a row ends. name stands in messages.
func ReadTokens(ctx context.Context, r io.Reader, name string, chain candle.Chain) (List, error) {
	return readTokens(ctx, func() (io.ReadCloser, error) { return io.NopCloser(r), nil }, name, chain)
}

func readTokens(ctx context.Context, open func() (io.ReadCloser, error), name string, chain candle.Chain) (List, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	text, err := decodeText(readInBackground(ctx, open))
	if err == nil {
		t := tokenReader{records: newRecords(text), chain: chain, list: List{Origin: name}, known: make(map[candle.Token]bool)}
		if err = t.read(); err == nil {
			t.list.sort()
			return t.list, nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return List{}, ctx.Err()
	case errors.Is(err, ErrInput):
		return List{}, inputErrorf("%s %v", name, err)
	}
	return List{}, inputErrorf("cannot read %s: %v", name, err)
}

// tokenReader turns records into tokens. Its errors of the user's input begin with a verb: the name comes before them.
type tokenReader struct {
	records *records
	columns tokenTable
	chain   candle.Chain
	list    List
	known   map[candle.Token]bool
}

func (t *tokenReader) read() error {
	if err := t.readHeader(); err != nil {
		return err
	}
	for {
		record, err := t.records.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case t.columns.isComment(record):
			continue
		}
		if err := t.take(record); err != nil {
			return err
		}
	}
}

// readHeader finds out what the file is; a first line that is an entry itself is put back.
func (t *tokenReader) readHeader() error {
	for {
		first, err := t.records.line()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case strings.HasPrefix(first, "#"):
			continue
		case len(first) == len("sep=,") && strings.HasPrefix(strings.ToLower(first), "sep="): // Excel's
			t.records.separators = []rune(first[len("sep="):])
			continue
		}
		t.columns, err = t.records.sniff(first)
		return err
	}
}

func (t *tokenReader) take(record record) error {
	token, skipped := t.columns.token(record, t.chain)
	switch {
	case skipped != nil:
		skipped.Where = fmt.Sprintf("line %d", record.line)
		t.list.Skip(*skipped)
	case t.known[token]:
	case len(t.list.Tokens) == MaxEntries:
		return inputErrorf("has more than %d tokens: cut it into several lists", MaxEntries)
	default:
		t.known[token] = true
		t.list.Tokens = append(t.list.Tokens, token)
	}
	return nil
}

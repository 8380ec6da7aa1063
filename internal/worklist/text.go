package worklist

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

// background reads in a goroutine of its own, so that a reader that never ends, or never begins, can be left: neither opening
// nor reading a pipe or a terminal heeds a context.
type background struct {
	chunks <-chan chunk
	done   <-chan struct{}
	cause  func() error
	rest   []byte
	err    error
}

type chunk struct {
	data []byte
	err  error
}

// readInBackground reads until the end or until ctx is done. A call that hangs in the system goes on until it returns, at
// the latest with the process.
func readInBackground(ctx context.Context, open func() (io.ReadCloser, error)) io.Reader {
	chunks := make(chan chunk)
	send := func(c chunk) bool {
		select {
		case chunks <- c:
			return c.err == nil
		case <-ctx.Done():
			return false
		}
	}
	go func() {
		file, err := open()
		if err != nil {
			send(chunk{err: err})
			return
		}
		defer file.Close()
		for {
			data := make([]byte, 32<<10)
			n, err := file.Read(data)
			if !send(chunk{data[:n], err}) {
				return
			}
		}
	}()
	return &background{chunks: chunks, done: ctx.Done(), cause: ctx.Err}
}

func (b *background) Read(p []byte) (int, error) {
	for len(b.rest) == 0 {
		if b.err != nil {
			return 0, b.err
		}
		select {
		case c := <-b.chunks:
			b.rest, b.err = c.data, c.err
		case <-b.done:
			return 0, b.cause()
		}
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// sniffed is how much of a file decides what it is.
const sniffed = 512

// notText are beginnings of files that people have and that are no text, with what to do.
var notText = []struct {
	at         int
	magic, say string
}{
	{8, "DUCK", "is a DuckDB file: give it with --duckdb"},
	{0, "\x1f\x8b", "is compressed with gzip: unpack it first"},
	{0, "PK\x03\x04", "is a zip archive or an Excel file: save it as CSV"},
	{0, "PAR1", "is a Parquet file: save it as CSV"},
	{0, "SQLite format 3", "is an SQLite file: save what is wanted as CSV"},
	{0, "\xff\xfe\x00\x00", "is UTF-32: save it as UTF-8"},
	{0, "\x00\x00\xfe\xff", "is UTF-32: save it as UTF-8"},
}

// decodeText makes UTF-8 of what is UTF-8 or UTF-16, by the byte order mark or, without one, by the zeros beside ASCII.
func decodeText(r io.Reader) (io.Reader, error) {
	buffered := bufio.NewReaderSize(r, sniffed)
	head, err := buffered.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	for _, known := range notText {
		if len(head) >= known.at && bytes.HasPrefix(head[known.at:], []byte(known.magic)) {
			return nil, inputErrorf("%s", known.say)
		}
	}
	utf16 := func(order unicode.Endianness) io.Reader {
		return transform.NewReader(buffered, unicode.UTF16(order, unicode.UseBOM).NewDecoder())
	}
	zero := func(i int) bool { return i < len(head) && head[i] == 0 }
	switch {
	case bytes.HasPrefix(head, []byte("\xff\xfe")), zero(1) && zero(3) && !zero(0) && !zero(2):
		return utf16(unicode.LittleEndian), nil
	case bytes.HasPrefix(head, []byte("\xfe\xff")), zero(0) && zero(2) && !zero(1) && !zero(3):
		return utf16(unicode.BigEndian), nil
	case bytes.IndexByte(head, 0) >= 0:
		return nil, inputErrorf("is no text")
	}
	return buffered, nil
}

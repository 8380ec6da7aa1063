package export

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// Rows writes rows of one kind. Close ends the format, and not what is below it.
type Rows[T any] interface {
	Write(T) error
	Close() error
}

// Row is a row of a type that is known when the program is built: tags of its fields say what Parquet and JSON call them.
type Row interface {
	// Record appends the fields as CSV has them, in the order of the columns.
	Record(record []string) []string
}

// NewRows writes rows of a known type; columns is the header of CSV.
func NewRows[T Row](w io.Writer, format Format, columns []string) Rows[T] {
	switch format {
	case CSV:
		c := &csvRows[T]{csv: csv.NewWriter(w), record: T.Record}
		c.err = c.csv.Write(columns)
		return c
	case JSON, JSONL:
		return newJSONRows(w, format, func(row T) ([]byte, error) { return json.Marshal(row) })
	case Parquet:
	}
	return &parquetRows[T]{parquet: parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowsPerGroup))}
}

// Float writes a number as CSV has it, without losing a bit.
func Float(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

// Number writes a whole number as CSV has it.
func Number(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

type csvRows[T any] struct {
	csv    *csv.Writer
	record func(T, []string) []string
	fields []string
	err    error // of the header
}

func (w *csvRows[T]) Write(row T) error {
	w.fields = w.record(row, w.fields[:0])
	return w.csv.Write(w.fields)
}

func (w *csvRows[T]) Close() error {
	w.csv.Flush()
	return errors.Join(w.err, w.csv.Error())
}

// jsonRows writes each row as it comes: a result of any length takes the memory of one row.
type jsonRows[T any] struct {
	w      io.Writer
	encode func(T) ([]byte, error)
	// first, between and last go around the rows.
	first, between, last string
	begun                bool
}

func newJSONRows[T any](w io.Writer, format Format, encode func(T) ([]byte, error)) *jsonRows[T] {
	if format == JSONL {
		return &jsonRows[T]{w: w, encode: encode, between: "\n", last: "\n"}
	}
	return &jsonRows[T]{w: w, encode: encode, first: "[\n", between: ",\n", last: "\n]\n"}
}

func (w *jsonRows[T]) Write(row T) error {
	encoded, err := w.encode(row)
	if err != nil {
		return err
	}
	before := w.between
	if !w.begun {
		before, w.begun = w.first, true
	}
	if _, err := io.WriteString(w.w, before); err != nil {
		return err
	}
	_, err = w.w.Write(encoded)
	return err
}

func (w *jsonRows[T]) Close() error {
	text := w.last
	if !w.begun {
		text = map[bool]string{true: "[]\n"}[w.first != ""] // lines without a line are nothing
	}
	_, err := io.WriteString(w.w, text)
	return err
}

const (
	// parquetBatch rows are handed to the library at a time.
	parquetBatch = 1_000
	rowsPerGroup = 1 << 20
)

type parquetRows[T any] struct {
	parquet *parquet.GenericWriter[T]
	rows    []T
}

func (w *parquetRows[T]) Write(row T) error {
	w.rows = append(w.rows, row)
	if len(w.rows) < parquetBatch {
		return nil
	}
	return w.flush()
}

func (w *parquetRows[T]) flush() error {
	_, err := w.parquet.Write(w.rows)
	w.rows = w.rows[:0]
	return err
}

func (w *parquetRows[T]) Close() error { return errors.Join(w.flush(), w.parquet.Close()) }

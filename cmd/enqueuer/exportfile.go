package main

import (
	"encoding/csv"
	"errors"
	"io"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// rowWriter is a file format.
type rowWriter[T any] interface {
	write(T) error
	close() error
}

// csvRow is a row that knows its fields.
type csvRow interface {
	// record appends the fields, in the order of the columns.
	record(record []string) []string
}

func newRowWriter[T csvRow](w io.Writer, format string, columns []string) rowWriter[T] {
	if format == "csv" {
		c := &csvWriter[T]{csv: csv.NewWriter(w)}
		c.err = c.csv.Write(columns)
		return c
	}
	return &parquetWriter[T]{parquet: parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(1<<20))}
}

func csvFloat(f float64) string { return strconv.FormatFloat(f, 'g', -1, 64) }

func csvNumber(n uint32) string { return strconv.FormatUint(uint64(n), 10) }

type csvWriter[T csvRow] struct {
	csv    *csv.Writer
	fields []string
	err    error // of the header
}

func (w *csvWriter[T]) write(row T) error {
	w.fields = row.record(w.fields[:0])
	return w.csv.Write(w.fields)
}

func (w *csvWriter[T]) close() error {
	w.csv.Flush()
	return errors.Join(w.err, w.csv.Error())
}

// parquetBatch rows are handed to the library at a time.
const parquetBatch = 1_000

type parquetWriter[T any] struct {
	parquet *parquet.GenericWriter[T]
	rows    []T
}

func (w *parquetWriter[T]) write(row T) error {
	w.rows = append(w.rows, row)
	if len(w.rows) < parquetBatch {
		return nil
	}
	return w.flush()
}

func (w *parquetWriter[T]) flush() error {
	_, err := w.parquet.Write(w.rows)
	w.rows = w.rows[:0]
	return err
}

func (w *parquetWriter[T]) close() error { return errors.Join(w.flush(), w.parquet.Close()) }

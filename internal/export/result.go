package export

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strconv"
	"time"

	"github.com/parquet-go/parquet-go"
)

// Kind is the kind of the values of a result's column.
type Kind int

// The kinds. Each value of a column may also be nil.
const (
	Text     Kind = iota // string, or anything else, which is written as JSON
	Integer              // int64
	Unsigned             // uint64
	Real                 // float64
	Boolean              // bool
	Moment               // time.Time, in UTC, to the microsecond
)

// Column is a column of a result whose columns are known when it comes.
type Column struct {
	Name string
	Kind Kind
}

// NewResult writes rows whose columns are not known when the program is built; each row has a value for each column.
func NewResult(w io.Writer, format Format, columns []Column) Rows[[]any] {
	switch format {
	case CSV:
		names := make([]string, len(columns))
		for i, c := range columns {
			names[i] = c.Name
		}
		c := &csvRows[[]any]{csv: csv.NewWriter(w), record: record}
		c.err = c.csv.Write(names)
		return c
	case JSON, JSONL:
		return newJSONRows(w, format, objects(columns))
	case Parquet:
	}
	return newParquetResult(w, columns)
}

func record(row []any, fields []string) []string {
	for _, value := range row {
		fields = append(fields, TextOf(value))
	}
	return fields
}

// TextOf writes a value as CSV has it; nil is the empty text.
func TextOf(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return v
	case int64:
		return strconv.FormatInt(v, 10)
	case uint64:
		return strconv.FormatUint(v, 10)
	case float64:
		return Float(v)
	case bool:
		return strconv.FormatBool(v)
	case time.Time:
		return v.UTC().Format(time.RFC3339Nano)
	}
	encoded, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(encoded)
}

// objects keeps the columns in their order, which a map would not.
func objects(columns []Column) func([]any) ([]byte, error) {
	names := make([][]byte, len(columns))
	for i, c := range columns {
		names[i], _ = json.Marshal(c.Name) // a string has no error
	}
	return func(row []any) (encoded []byte, err error) {
		encoded = append(encoded, '{')
		for i, value := range row {
			if i > 0 {
				encoded = append(encoded, ',')
			}
			encoded = append(append(encoded, names[i]...), ':')
			text, err := json.Marshal(value)
			if err != nil {
				text = []byte("null") // not a number, or infinite
			}
			encoded = append(encoded, text...)
		}
		return append(encoded, '}'), nil
	}
}

// orderedGroup is a group whose fields stay in the order of the result; the library's are in that of their names.
type orderedGroup struct {
	parquet.Group
	fields []parquet.Field
}

func (g orderedGroup) Fields() []parquet.Field { return g.fields }

type parquetResult struct {
	parquet *parquet.GenericWriter[any]
	columns []Column
	rows    []parquet.Row
}

func newParquetResult(w io.Writer, columns []Column) *parquetResult {
	group := orderedGroup{Group: make(parquet.Group)}
	names := distinctNames(columns)
	for i, c := range columns {
		group.Group[names[i]] = parquet.Optional(node(c.Kind))
	}
	byName := make(map[string]parquet.Field)
	for _, field := range group.Group.Fields() {
		byName[field.Name()] = field
	}
	for _, name := range names {
		group.fields = append(group.fields, byName[name])
	}
	schema := parquet.NewSchema("result", group)
	return &parquetResult{
		parquet: parquet.NewGenericWriter[any](w, schema, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(rowsPerGroup)),
		columns: columns,
	}
}

// distinctNames gives a column whose name is taken another one: SQL allows what Parquet does not.
func distinctNames(columns []Column) []string {
	names, taken := make([]string, len(columns)), make(map[string]bool)
	for i, c := range columns {
		names[i] = c.Name
		for n := 2; taken[names[i]]; n++ {
			names[i] = fmt.Sprintf("%s_%d", c.Name, n)
		}
		taken[names[i]] = true
	}
	return names
}

func node(kind Kind) parquet.Node {
	switch kind {
	case Integer:
		return parquet.Int(64)
	case Unsigned:
		return parquet.Uint(64)
	case Real:
		return parquet.Leaf(parquet.DoubleType)
	case Boolean:
		return parquet.Leaf(parquet.BooleanType)
	case Moment:
		return parquet.Timestamp(parquet.Microsecond)
	case Text:
	}
	return parquet.String()
}

func (w *parquetResult) Write(row []any) error {
	values := make(parquet.Row, len(row))
	for i, value := range row {
		values[i] = parquetValue(value, w.columns[i].Kind, i)
	}
	w.rows = append(w.rows, values)
	if len(w.rows) < parquetBatch {
		return nil
	}
	return w.flush()
}

func parquetValue(value any, kind Kind, column int) parquet.Value {
	if value == nil {
		return parquet.NullValue().Level(0, 0, column)
	}
	switch v := value.(type) {
	case time.Time:
		if kind == Moment {
			return parquet.Int64Value(v.UnixMicro()).Level(0, 1, column)
		}
	case int64, uint64, float64, bool:
		if kind != Text {
			return parquet.ValueOf(v).Level(0, 1, column)
		}
	}
	return parquet.ByteArrayValue([]byte(TextOf(value))).Level(0, 1, column)
}

func (w *parquetResult) flush() error {
	_, err := w.parquet.WriteRows(w.rows)
	w.rows = w.rows[:0]
	return err
}

func (w *parquetResult) Close() error { return errors.Join(w.flush(), w.parquet.Close()) }

// KindOf is the kind for values of the Go type.
func KindOf(t reflect.Type) Kind {
	switch t {
	case reflect.TypeFor[int64]():
		return Integer
	case reflect.TypeFor[uint64]():
		return Unsigned
	case reflect.TypeFor[float64]():
		return Real
	case reflect.TypeFor[bool]():
		return Boolean
	case reflect.TypeFor[time.Time]():
		return Moment
	}
	return Text
}

package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/big"
	"reflect"
	"strings"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// ResultColumn is a column of a statement's result. Type is the Go type of its values where they are there: bool, int64, uint64,
// float64, string, time.Time, or any other.
type ResultColumn struct {
	Name string
	Type reflect.Type
}

// ResultReader takes a statement's result: first its columns, then its rows, each value as its column says, or nil. Neither is called
// for a statement that has no result. The row belongs to Row until it returns; an error ends the reading and is returned as it is.
type ResultReader struct {
	Columns func([]ResultColumn) error
	Row     func([]any) error
}

// SQL runs one statement, within 15 minutes. Unless it may write, the server has to refuse whatever changes anything.
func (db *DB) SQL(ctx context.Context, statement string, write bool, r ResultReader) error {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	if !write {
		// 2 and not 1: the driver sends settings with each statement.
		ctx = driver.Context(ctx, driver.WithSettings(driver.Settings{"readonly": 2}))
	}
	rows, err := db.conn.Query(ctx, statement)
	if err == io.EOF { //nolint:errorlint // the bare error is the driver's word for no result; a lost connection wraps it
		return nil
	}
	if err != nil {
		return db.statementError(err, write)
	}
	defer rows.Close()
	readErr, err := readResult(rows, r)
	if readErr != nil {
		cancel() // or Close reads all that is left
		return readErr
	}
	return db.statementError(err, write)
}

// ErrWouldWrite says that a statement that only reads was wanted.
var ErrWouldWrite = errors.New("the statement would change something, and may only read")

// statementError leaves the server's words on somebody's own statement as they are: what they mean for ours does not hold there.
func (db *DB) statementError(err error, write bool) error {
	exception, ok := errors.AsType[*driver.Exception](err)
	switch {
	case !ok:
		return db.Failed("run the statement", err)
	case exception.Code == codeReadonly && !write:
		return ErrWouldWrite
	}
	return db.secrets.Error(fmt.Errorf("ClickHouse says: %s", strings.TrimSpace(exception.Message)))
}

// readResult keeps the reader's error apart from the server's.
func readResult(rows chdriver.Rows, r ResultReader) (readErr, err error) {
	types := rows.ColumnTypes()
	columns, cells := make([]ResultColumn, len(types)), make([]any, len(types))
	for i, t := range types {
		columns[i] = ResultColumn{t.Name(), plainType(t.ScanType())}
		cells[i] = reflect.New(t.ScanType()).Interface()
	}
	if readErr := r.Columns(columns); readErr != nil {
		return readErr, nil
	}
	row := make([]any, len(cells))
	for rows.Next() {
		if err := rows.Scan(cells...); err != nil {
			return nil, err
		}
		for i, cell := range cells {
			row[i] = plain(reflect.ValueOf(cell).Elem())
		}
		if readErr := r.Row(row); readErr != nil {
			return readErr, nil
		}
	}
	return nil, rows.Err()
}

var timeType, bigType = reflect.TypeFor[time.Time](), reflect.TypeFor[big.Int]()

// plainType is the type that plain gives to values of the type.
func plainType(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == timeType:
		return timeType
	case t == bigType || t.Implements(reflect.TypeFor[fmt.Stringer]()):
		return reflect.TypeFor[string]()
	}
	switch t.Kind() { //nolint:exhaustive // the others stay as they are
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return reflect.TypeFor[int64]()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return reflect.TypeFor[uint64]()
	case reflect.Float32, reflect.Float64:
		return reflect.TypeFor[float64]()
	}
	return t
}

// plain makes a value of few types of the many that the driver has.
func plain(v reflect.Value) any {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		if v.IsNil() {
			return nil
		}
		if big, ok := v.Interface().(*big.Int); ok {
			return big.String()
		}
		v = v.Elem()
	}
	switch t := plainType(v.Type()); t {
	case timeType:
		return v.Interface().(time.Time).UTC()
	case reflect.TypeFor[string]():
		if text, ok := v.Interface().(fmt.Stringer); ok {
			return text.String()
		}
		return v.String()
	case reflect.TypeFor[float64]():
		if v.Kind() == reflect.Float32 {
			return float64(v.Interface().(float32))
		}
		return v.Float()
	default:
		if v.CanConvert(t) {
			return v.Convert(t).Interface()
		}
	}
	return v.Interface()
}

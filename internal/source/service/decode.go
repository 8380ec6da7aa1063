package service

import (
	"errors"
	"io"
	"strconv"

	"github.com/go-faster/jx"
)

// The answers' candles are decoded value by value, without a struct of pointers in between: see docs/adr/0013.

var (
	errTrailing  = errors.New("something follows the JSON")
	errNotNumber = errors.New("no number")
)

// Decode reads a whole JSON text: what is cut, and what is followed by anything, is an error.
func Decode(body []byte, read func(*jx.Decoder) error) error {
	d := jx.DecodeBytes(body)
	if err := read(d); err != nil {
		return err
	}
	if err := d.Skip(); !errors.Is(err, io.EOF) {
		return errTrailing
	}
	return nil
}

// Null consumes a null, if one comes next.
func Null(d *jx.Decoder) bool { return d.Next() == jx.Null && d.Null() == nil }

// Float reads the number that is nearest to the decimal text, as strconv does: the decoder's own reading of a float may
// differ in the last bit. A quoted number is refused.
func Float(d *jx.Decoder) (float64, error) {
	if d.Next() != jx.Number {
		return 0, errNotNumber
	}
	number, err := d.Num()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(string(number), 64)
}

// Int reads an integer that has neither a fraction nor an exponent. A quoted one is refused.
func Int(d *jx.Decoder) (int64, error) {
	if d.Next() != jx.Number {
		return 0, errNotNumber
	}
	number, err := d.Num()
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(string(number), 10, 64)
}

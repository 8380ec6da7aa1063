package service

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/go-faster/jx"
)

// The candles of responses are decoded value by value, without a struct of pointers in between: see docs/adr/0013.

var errTrailing = errors.New("something follows the JSON")

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

// ErrRepeated refuses an answer: of two values for one name nobody knows which is meant.
var ErrRepeated = errors.New("a name occurs twice in one object of the answer")

// Value reads the number that is nearest to the decimal text, as strconv does: the decoder's own reading of a float may
// differ in the last bit. What is no number, or above all numbers, is NaN or infinite, and odd says why; err means that it
// is no JSON.
func Value(d *jx.Decoder) (value float64, odd string, err error) {
	kind := d.Next()
	if kind != jx.Number {
		return math.NaN(), kindName(kind), d.Skip()
	}
	number, err := d.Num()
	if err != nil {
		return 0, "", err
	}
	value, failed := strconv.ParseFloat(string(number), 64) // of a valid number it can only say that it is out of range
	if failed != nil {
		odd = "above the largest number"
	}
	return value, odd, nil
}

func kindName(kind jx.Type) string {
	switch kind {
	case jx.Null:
		return "null"
	case jx.String:
		return "a string"
	case jx.Bool:
		return "a truth value"
	case jx.Array:
		return "a list"
	case jx.Object:
		return "an object"
	}
	return "nothing"
}

// Time reads Unix seconds, an integer that has neither a fraction nor an exponent. ok reports whether it is one of the times
// that candles can have; err means that it is no JSON.
func Time(d *jx.Decoder) (t int64, ok bool, err error) {
	if d.Next() != jx.Number {
		return 0, false, d.Skip()
	}
	number, err := d.Num()
	if err != nil {
		return 0, false, err
	}
	t, failed := strconv.ParseInt(string(number), 10, 64)
	return t, failed == nil && t >= 0 && t <= math.MaxUint32, nil
}

// Unmarshal is json.Unmarshal for responses: a name that occurs twice in one object is refused.
func Unmarshal(body []byte, into any) error {
	if err := Decode(body, refuseRepeated); err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// refuseRepeated compares names as encoding/json does, without regard to case.
func refuseRepeated(d *jx.Decoder) error {
	switch d.Next() {
	case jx.Object:
		seen := map[string]bool{}
		return d.Obj(func(d *jx.Decoder, name string) error {
			if name = strings.ToLower(name); seen[name] {
				return ErrRepeated
			}
			seen[name] = true
			return refuseRepeated(d)
		})
	case jx.Array:
		return d.Arr(refuseRepeated)
	}
	return d.Skip()
}

package geckoterminal

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-faster/jx"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

// failure is the body of an error, in one of the three forms that the service and its family use.
type failure struct {
	Errors []struct {
		Title  string `json:"title"`
		Detail string `json:"detail"`
	} `json:"errors"`
	Status struct {
		Message string `json:"error_message"`
	} `json:"status"`
	Error string `json:"error"`
}

// message is empty when the body is none of the service's.
func (f failure) message() string {
	for _, e := range f.Errors {
		if e.Detail != "" {
			return e.Detail
		}
		if e.Title != "" {
			return e.Title
		}
	}
	if f.Status.Message != "" {
		return f.Status.Message
	}
	return f.Error
}

func failureMessage(body []byte) string {
	var f failure
	_ = json.Unmarshal(body, &f) // what cannot be read has no message
	return f.message()
}

// readFailure is service.Config.Failure. There is no key to reject.
func readFailure(status int, _ http.Header, body []byte, retryAfter time.Duration) service.Failure {
	f := service.Failure{Class: service.StatusClass(status), Message: failureMessage(body), RetryAfter: retryAfter}
	if f.Class == backfill.ClassKeyRejected {
		f.Class = backfill.ClassPermanent
	}
	f.Foreign = f.Message == ""
	return f
}

// decode refuses what is no whole JSON, so that a cut or foreign body is never taken for an empty answer (R8).
func decode(body []byte, answer any) error {
	err := service.Unmarshal(body, answer)
	if err != nil && !errors.Is(err, service.ErrRepeated) {
		return noJSON(body)
	}
	return err
}

func noJSON(body []byte) error {
	return fmt.Errorf("answer is no whole JSON of the expected form (%d bytes)", len(bytes.TrimSpace(body)))
}

// without says what the answer lacks, and what it says instead.
func without(what string, body []byte) error {
	if message := failureMessage(body); message != "" {
		return fmt.Errorf("answer without %s: %s", what, service.Clean(message))
	}
	return fmt.Errorf("answer without %s", what)
}

// decodeCandles reads an answer's candles in its order.
//
// With currency=usd the service gives the volume in USD only. Volume in base units is that over the close, and 0 where the
// close is 0: an estimate, because the candle's trades had other prices, too.
func decodeCandles(body []byte, about question) ([]candle.Candle, []backfill.Oddity, error) {
	a := candleList{about: about}
	err := service.Decode(body, a.readAnswer)
	switch {
	case a.flaw != nil:
		return nil, nil, a.flaw
	case err != nil:
		return nil, nil, noJSON(body)
	case !a.listed:
		return nil, nil, without("ohlcv_list", body)
	}
	if err := about.isOf(a.tokens); err != nil {
		return nil, nil, err
	}
	return a.rows.Page(about.interval)
}

// question is what an answer has to be about.
type question struct {
	token    candle.Token
	interval candle.Interval
}

// isOf refuses the candles of a pool whose tokens are others. An answer that does not name both is taken as it is.
func (q question) isOf(tokens []string) error {
	if len(tokens) < 2 || slices.ContainsFunc(tokens, func(address string) bool { return isAddressOf(address, q.token) }) {
		return nil
	}
	return fmt.Errorf("the answer is of another pool, of the tokens %s", service.Clean(strings.Join(tokens, " and ")))
}

// candleList is data.attributes.ohlcv_list of an answer.
type candleList struct {
	about  question
	listed bool
	rows   service.Rows
	// tokens are those of the pool, as meta names them.
	tokens []string
	flaw   error     // why the answer is refused where the JSON is whole
	values [6][]byte // of the row
	seen   int       // values of the row
}

// rowBytes is about what a candle takes in an answer.
const rowBytes = 90

func (a *candleList) readAnswer(d *jx.Decoder) error {
	return a.fields(d, map[string]func(*jx.Decoder) error{
		"data": func(d *jx.Decoder) error {
			return a.fields(d, map[string]func(*jx.Decoder) error{"attributes": func(d *jx.Decoder) error {
				return a.fields(d, map[string]func(*jx.Decoder) error{"ohlcv_list": a.readList})
			}})
		},
		"meta": func(d *jx.Decoder) error {
			return a.fields(d, map[string]func(*jx.Decoder) error{"base": a.readToken, "quote": a.readToken})
		},
	})
}

func (a *candleList) readToken(d *jx.Decoder) error {
	return a.fields(d, map[string]func(*jx.Decoder) error{"address": func(d *jx.Decoder) error {
		if service.Null(d) {
			return nil
		}
		address, err := d.Str()
		a.tokens = append(a.tokens, address)
		return err
	}})
}

// fields reads some fields of an object, each once. A null has no fields.
func (a *candleList) fields(d *jx.Decoder, read map[string]func(*jx.Decoder) error) error {
	if service.Null(d) {
		return nil
	}
	return d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		name := string(key)
		next, known := read[name]
		switch {
		case !known:
			return d.Skip()
		case next == nil:
			a.flaw = service.ErrRepeated
			return a.flaw
		}
		read[name] = nil
		return next(d)
	})
}

func (a *candleList) readList(d *jx.Decoder) error {
	if service.Null(d) {
		return nil
	}
	a.listed, a.rows = true, service.NewRows(pageSize, pageSize*rowBytes, rowBytes)
	readValue := a.readValue // one closure for all rows
	return d.Arr(func(d *jx.Decoder) error {
		a.seen = 0
		if d.Next() == jx.Array {
			if err := d.Arr(readValue); err != nil {
				return err
			}
		} else if err := d.Skip(); err != nil {
			return err
		}
		if err := a.addRow(); err != nil {
			a.flaw = fmt.Errorf("item %d of the answer: %w", len(a.rows.Candles), err)
			return a.flaw
		}
		return nil
	})
}

func (a *candleList) readValue(d *jx.Decoder) error {
	raw, err := d.Raw()
	if a.seen < len(a.values) {
		a.values[a.seen] = bytes.Trim(raw, `"`)
	}
	a.seen++
	return err
}

var valueNames = [...]string{"time", "open", "high", "low", "close", "volume"}

// addRow reads [time, open, high, low, close, volume in USD].
func (a *candleList) addRow() error {
	values := a.values[:min(a.seen, len(a.values))]
	if len(values) == 0 {
		return a.rows.AddUntimed("it has no values")
	}
	c := candle.Candle{}
	t, err := strconv.ParseInt(string(values[0]), 10, 64)
	if err != nil || t < 0 || t > math.MaxUint32 {
		return a.rows.AddUntimed(fmt.Sprintf("it has the time %q", service.Clean(string(values[0]))))
	}
	c.OpenTime = t
	odd := ""
	for i, value := range [...]*float64{&c.Open, &c.High, &c.Low, &c.Close, &c.VolumeUSD} {
		text := "missing"
		if i+1 < len(values) {
			text = string(values[i+1])
		}
		if *value, err = strconv.ParseFloat(text, 64); err != nil {
			if !errors.Is(err, strconv.ErrRange) {
				*value = math.NaN()
			}
			odd = cmp.Or(odd, fmt.Sprintf("%s is %s", valueNames[i+1], service.Clean(text)))
		}
	}
	if c.Close > 0 {
		c.Volume = c.VolumeUSD / c.Close
	}
	return a.rows.Add(c, odd)
}

// checkNetworks refuses what is no list of networks.
func checkNetworks(body []byte) error {
	var a struct {
		Data []struct {
			ID string `json:"id"`
		} `json:"data"`
	}
	if err := decode(body, &a); err != nil {
		return err
	}
	if len(a.Data) == 0 || a.Data[0].ID == "" {
		return without("networks", body)
	}
	return nil
}

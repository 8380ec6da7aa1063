package geckoterminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
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

// readFailure is service.Config.Failure. Where a chunk would fail for good, only the service's own words count: a firewall
// or a proxy that answers in its place (403 or 404 in HTML) knows nothing about the question. There is no key to reject.
func readFailure(status int, _ http.Header, body []byte, retryAfter time.Duration) service.Failure {
	f := service.Failure{Class: service.StatusClass(status), Message: failureMessage(body), RetryAfter: retryAfter}
	if f.Class == backfill.ClassKeyRejected {
		f.Class = backfill.ClassPermanent
	}
	if f.Class == backfill.ClassPermanent && f.Message == "" {
		f.Class = backfill.ClassUnavailable
	}
	return f
}

// decode refuses what is no whole JSON, so that a cut or foreign body is never taken for an empty answer (R8).
func decode(body []byte, answer any) error {
	if err := json.Unmarshal(body, answer); err != nil {
		return noJSON(body)
	}
	return nil
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
func decodeCandles(body []byte) ([]candle.Candle, error) {
	var a candleList
	err := service.Decode(body, a.readAnswer)
	switch {
	case a.flaw != nil:
		return nil, a.flaw
	case err != nil:
		return nil, noJSON(body)
	case !a.listed:
		return nil, without("ohlcv_list", body)
	}
	return a.candles, nil
}

// candleList is data.attributes.ohlcv_list of an answer.
type candleList struct {
	listed  bool
	candles []candle.Candle
	flaw    error // what is wrong with a row
	values  [6]jx.Num
	seen    int // values of the row
}

func (a *candleList) readAnswer(d *jx.Decoder) error {
	return within(d, "data", func(d *jx.Decoder) error {
		return within(d, "attributes", func(d *jx.Decoder) error {
			return within(d, "ohlcv_list", a.readList)
		})
	})
}

// within reads one field of an object. A null has no fields.
func within(d *jx.Decoder, field string, read func(*jx.Decoder) error) error {
	if service.Null(d) {
		return nil
	}
	return d.ObjBytes(func(d *jx.Decoder, key []byte) error {
		if string(key) != field {
			return d.Skip()
		}
		return read(d)
	})
}

func (a *candleList) readList(d *jx.Decoder) error {
	if service.Null(d) {
		return nil
	}
	a.listed, a.candles = true, make([]candle.Candle, 0, pageSize)
	readValue := a.readValue // one closure for all rows
	return d.Arr(func(d *jx.Decoder) error {
		a.seen = 0
		if !service.Null(d) {
			if err := d.Arr(readValue); err != nil {
				return err
			}
		}
		c, err := a.row()
		if err != nil {
			a.flaw = fmt.Errorf("row %d of the answer: %w", len(a.candles), err)
			return a.flaw
		}
		a.candles = append(a.candles, c)
		return nil
	})
}

func (a *candleList) readValue(d *jx.Decoder) error {
	if d.Next() == jx.Null {
		if a.seen < len(a.values) {
			a.values[a.seen] = nil
		}
		a.seen++
		return d.Null()
	}
	number, err := d.Num()
	if a.seen < len(a.values) {
		a.values[a.seen] = bytes.Trim(number, `"`)
	}
	a.seen++
	return err
}

// row reads [time, open, high, low, close, volume in USD].
func (a *candleList) row() (c candle.Candle, err error) {
	if a.seen != len(a.values) {
		return c, fmt.Errorf("%d values instead of %d", a.seen, len(a.values))
	}
	if c.OpenTime, err = strconv.ParseInt(string(a.values[0]), 10, 64); err != nil || c.OpenTime < 0 || c.OpenTime > math.MaxUint32 {
		return candle.Candle{}, fmt.Errorf("the time %q", service.Clean(string(a.values[0])))
	}
	for i, value := range [...]*float64{&c.Open, &c.High, &c.Low, &c.Close, &c.VolumeUSD} {
		if *value, err = strconv.ParseFloat(string(a.values[1+i]), 64); err != nil {
			return candle.Candle{}, fmt.Errorf("the value %q", service.Clean(string(a.values[1+i])))
		}
	}
	if c.Close > 0 {
		c.Volume = c.VolumeUSD / c.Close
	}
	return c, nil
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

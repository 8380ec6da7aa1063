package geckoterminal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"time"

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
		return fmt.Errorf("answer is no whole JSON of the expected form (%d bytes)", len(bytes.TrimSpace(body)))
	}
	return nil
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
	var a struct {
		Data struct {
			Attributes struct {
				Rows *[][]json.Number `json:"ohlcv_list"`
			} `json:"attributes"`
		} `json:"data"`
	}
	if err := decode(body, &a); err != nil {
		return nil, err
	}
	if a.Data.Attributes.Rows == nil {
		return nil, without("ohlcv_list", body)
	}
	candles := make([]candle.Candle, 0, len(*a.Data.Attributes.Rows))
	for i, row := range *a.Data.Attributes.Rows {
		c, err := readRow(row)
		if err != nil {
			return nil, fmt.Errorf("row %d of the answer: %w", i, err)
		}
		candles = append(candles, c)
	}
	return candles, nil
}

// readRow reads [time, open, high, low, close, volume in USD].
func readRow(row []json.Number) (c candle.Candle, err error) {
	if len(row) != 6 {
		return c, fmt.Errorf("%d values instead of 6", len(row))
	}
	if c.OpenTime, err = row[0].Int64(); err != nil || c.OpenTime < 0 || c.OpenTime > math.MaxUint32 {
		return candle.Candle{}, fmt.Errorf("the time %q", service.Clean(row[0].String()))
	}
	for i, value := range []*float64{&c.Open, &c.High, &c.Low, &c.Close, &c.VolumeUSD} {
		if *value, err = row[1+i].Float64(); err != nil {
			return candle.Candle{}, fmt.Errorf("the value %q", service.Clean(row[1+i].String()))
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

package binance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/go-faster/jx"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

// failure is the body of an error.
type failure struct {
	Code    int    `json:"code"`
	Message string `json:"msg"`
}

// String is empty for a body that is no error of the service.
func (f failure) String() string {
	if f.Code == 0 && f.Message == "" {
		return ""
	}
	return fmt.Sprintf("%s (code %d)", f.Message, f.Code)
}

// Codes that mean the same whatever the status is; the others of a 400 name a fault of the question.
const (
	codeDisconnected = -1001
	codeTooMany      = -1003
	codeTimeout      = -1007
	codeBusy         = -1008
)

// readFailure is service.Config.Failure.
func (s *Source) readFailure(status int, header http.Header, body []byte, retryAfter time.Duration) service.Failure {
	var f failure
	_ = json.Unmarshal(body, &f) // the firewall answers in HTML
	result := service.Failure{Class: service.StatusClass(status), Message: f.String(), RetryAfter: retryAfter}
	switch {
	case status == http.StatusTeapot:
		result.Class, result.RetryAfter = backfill.ClassRateLimited, s.ban(header, f.Message)
	case status == http.StatusForbidden:
		result.Class = backfill.ClassRateLimited
		result.RetryAfter = max(retryAfter, firewallPause)
	case f.Code == codeTooMany:
		result.Class = backfill.ClassRateLimited
	case f.Code == codeDisconnected || f.Code == codeTimeout || f.Code == codeBusy:
		result.Class = backfill.ClassUnavailable
	}
	return result
}

const (
	// firewallPause is how long to leave a service alone whose firewall turned us away, which it does not say (inferred).
	firewallPause = time.Minute
	// A ban lasts between these (documented).
	shortestBan = 2 * time.Minute
	longestBan  = 72 * time.Hour
)

// ban is how long the address is banned: by Retry-After, which service.RetryAfter cuts at an hour, else by the moment that
// the message names in milliseconds, else as short as a ban can be. Asking during a ban makes it longer.
func (s *Source) ban(header http.Header, message string) time.Duration {
	if seconds, err := strconv.ParseInt(header.Get("Retry-After"), 10, 32); err == nil {
		return min(max(time.Duration(seconds)*time.Second, 0), longestBan)
	}
	_, until, _ := strings.Cut(message, "banned until ")
	digits, _, _ := strings.Cut(until, ".")
	if unixMilli, err := strconv.ParseInt(digits, 10, 64); err == nil {
		return min(max(time.UnixMilli(unixMilli).Sub(s.now()), 0), longestBan)
	}
	return shortestBan
}

// rowBytes is about what a candle takes in an answer; a wrong guess costs a copy.
const rowBytes = 130

// decodePage refuses what is no whole answer, so that a cut or foreign body is never taken for an empty range (R8).
func decodePage(body []byte, dollars bool) ([]candle.Candle, error) {
	a := answer{dollars: dollars, candles: make([]candle.Candle, 0, min(len(body)/rowBytes, pageSize))}
	readField := a.readField // one closure for all rows
	err := service.Decode(body, func(d *jx.Decoder) error {
		return d.Arr(func(d *jx.Decoder) error { return a.readRow(d, readField) })
	})
	switch {
	case a.flaw != nil:
		return nil, a.flaw
	case err != nil:
		var f failure
		if json.Unmarshal(body, &f) == nil && f.String() != "" {
			return nil, fmt.Errorf("answer without candles: %s", service.Clean(f.String()))
		}
		return nil, fmt.Errorf("answer is no list of candles (%d bytes)", len(bytes.TrimSpace(body)))
	}
	return a.candles, nil
}

// fieldsRead is how many of a row's twelve fields are read: open time, open, high, low, close, volume, close time and
// volume in the quote asset. Numbers of trades and the takers' share follow.
const fieldsRead = 8

// answer is a list of rows that is being read.
type answer struct {
	dollars bool
	candles []candle.Candle
	flaw    error // what is wrong with a row
	fields  [fieldsRead][]byte
	seen    int // fields of the row
}

func (a *answer) readRow(d *jx.Decoder, readField func(*jx.Decoder) error) error {
	a.seen = 0
	if !service.Null(d) {
		if err := d.Arr(readField); err != nil {
			return err
		}
	}
	index := len(a.candles)
	if a.seen < fieldsRead {
		a.flaw = fmt.Errorf("row %d of the answer has %d fields", index, a.seen)
		return a.flaw
	}
	c, err := parseRow(a.fields[:], a.dollars)
	if err != nil {
		a.flaw = fmt.Errorf("row %d of the answer: %w", index, err)
		return a.flaw
	}
	a.candles = append(a.candles, c)
	return nil
}

func (a *answer) readField(d *jx.Decoder) error {
	raw, err := d.Raw()
	if a.seen < fieldsRead {
		a.fields[a.seen] = bytes.Trim(raw, `"`)
	}
	a.seen++
	return err
}

// parseRow reads a row of the API or of a file.
func parseRow[T string | []byte](fields []T, dollars bool) (c candle.Candle, err error) {
	if c.OpenTime, err = openTime(string(fields[0])); err != nil {
		return candle.Candle{}, err
	}
	for i, value := range [...]*float64{&c.Open, &c.High, &c.Low, &c.Close, &c.Volume} {
		if *value, err = strconv.ParseFloat(string(fields[1+i]), 64); err != nil {
			return candle.Candle{}, errors.New("a price or volume is no number")
		}
	}
	if quoteVolume, err := strconv.ParseFloat(string(fields[7]), 64); err != nil {
		return candle.Candle{}, errors.New("the quote volume is no number")
	} else if dollars {
		c.VolumeUSD = quoteVolume
	}
	return c, nil
}

// openTime reads milliseconds, or the microseconds that files have from 2025 on, as Unix seconds.
func openTime(text string) (int64, error) {
	t, err := strconv.ParseInt(text, 10, 64)
	if err != nil || t < 0 {
		return 0, errors.New("the open time is no number")
	}
	perSecond := int64(1e3)
	if t >= 1e14 { // in milliseconds that would be the year 5138
		perSecond = 1e6
	}
	if t%perSecond != 0 || t/perSecond > math.MaxUint32 {
		return 0, fmt.Errorf("the open time %d is no whole second", t)
	}
	return t / perSecond, nil
}

// dollarAssets are quote assets that stand for a US dollar.
var dollarAssets = []string{"USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "DAI", "USD1", "USDS", "PAX"}

// hasDollarQuote goes by the symbol's end; a symbol does not tell where its base asset ends.
func hasDollarQuote(symbol string) bool {
	for _, asset := range dollarAssets {
		if base, found := strings.CutSuffix(symbol, asset); found && base != "" {
			return true
		}
	}
	return false
}

func byOpenTime(a, b candle.Candle) int { return cmp.Compare(a.OpenTime, b.OpenTime) }

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
	_ = json.Unmarshal(body, &f) // the firewall responds in HTML
	result := service.Failure{Class: service.StatusClass(status), Message: f.String(), RetryAfter: retryAfter, Foreign: f.String() == ""}
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

// ban is how long the address is banned, which service.RetryAfter would cut: by the moment that the message names in
// milliseconds, else by Retry-After, else as short as a ban can be. What is longer than a ban can be is none that was meant.
// Asking during a ban makes it longer.
func (s *Source) ban(header http.Header, message string) time.Duration {
	const none = longestBan + time.Hour
	_, until, _ := strings.Cut(message, "banned until ")
	digits, _, _ := strings.Cut(until, ".")
	if unixMilli, err := strconv.ParseInt(digits, 10, 64); err == nil {
		if wait := time.UnixMilli(unixMilli).Sub(s.now()); wait > 0 && wait <= longestBan {
			return wait
		}
	}
	if wait := service.ParseWait(header.Get("Retry-After"), s.now(), none); wait > 0 && wait <= longestBan {
		return wait
	}
	return shortestBan
}

const (
	// rowBytes is about what a candle takes in an answer, and maxRow bounds the mean.
	rowBytes = 130
	maxRow   = 512
)

// question is what an answer has to be about. dollars: the volume in the quote asset is one in USD.
type question struct {
	interval candle.Interval
	window   candle.Range
	dollars  bool
}

// errOtherInterval: each row says when its candle closes.
var errOtherInterval = errors.New("the candles close at other times than those of the interval that was asked for")

// decodePage refuses what is no whole answer to the question, so that a cut or foreign body is never taken for an empty
// range (R8).
func decodePage(body []byte, about question) ([]candle.Candle, []backfill.Oddity, error) {
	a := answer{about: about, rows: service.NewRows(min(about.window.Candles(about.interval), pageSize), len(body), rowBytes)}
	readField := a.readField // one closure for all rows
	err := service.Decode(body, func(d *jx.Decoder) error {
		return d.Arr(func(d *jx.Decoder) error { return a.readRow(d, readField) })
	})
	switch {
	case a.flaw != nil:
		return nil, nil, a.flaw
	case err != nil:
		var f failure
		if json.Unmarshal(body, &f) == nil && f.String() != "" {
			return nil, nil, fmt.Errorf("answer without candles: %s", service.Clean(f.String()))
		}
		return nil, nil, fmt.Errorf("answer is no list of candles (%d bytes)", len(bytes.TrimSpace(body)))
	}
	candles, odd, err := a.rows.Page(about.interval)
	if err == nil {
		err = service.InWindow(candles, about.window)
	}
	if err == nil && len(candles) > 0 && !a.fits {
		err = errOtherInterval
	}
	if err != nil {
		return nil, nil, err
	}
	return candles, odd, nil
}

// fieldsRead is how many of a row's twelve fields are read: open time, open, high, low, close, volume, close time and
// volume in the quote asset. Numbers of trades and the takers' share follow.
const fieldsRead = 8

// answer is a list of rows that is being read.
type answer struct {
	about question
	rows  service.Rows
	// fits: at least one candle closes when one of the interval does. The exchange has a few of early years that closed when
	// it stopped trading.
	fits   bool
	flaw   error // why the answer is refused where the JSON is whole
	fields [fieldsRead][]byte
	seen   int // fields of the row
}

func (a *answer) readRow(d *jx.Decoder, readField func(*jx.Decoder) error) (err error) {
	a.seen = 0
	if d.Next() == jx.Array {
		err = d.Arr(readField)
	} else {
		err = d.Skip()
	}
	if err != nil {
		return err
	}
	for i := a.seen; i < fieldsRead; i++ {
		a.fields[i] = []byte("missing")
	}
	if err = a.addRow(); err != nil {
		a.flaw = fmt.Errorf("item %d of the answer: %w", len(a.rows.Candles), err)
	}
	return a.flaw
}

func (a *answer) addRow() error {
	c, odd, err := parseRow(a.fields[:], a.about.dollars)
	if err != nil {
		return a.rows.AddUntimed(err.Error())
	}
	a.fits = a.fits || closesAfter(a.fields[:], a.about.interval)
	return a.rows.Add(c, odd)
}

func (a *answer) readField(d *jx.Decoder) error {
	raw, err := d.Raw()
	if a.seen < fieldsRead {
		a.fields[a.seen] = bytes.Trim(raw, `"`)
	}
	a.seen++
	return err
}

// parseRow reads a row of the API or of a file. odd names the first value that is no number, which is NaN then.
func parseRow[T string | []byte](fields []T, dollars bool) (c candle.Candle, odd string, err error) {
	if c.OpenTime, err = openTime(string(fields[0])); err != nil {
		return candle.Candle{}, "", err
	}
	number := func(field int, name string) float64 {
		value, err := strconv.ParseFloat(string(fields[field]), 64)
		switch {
		case err == nil && !math.IsNaN(value) && !math.IsInf(value, 0):
			return value
		case odd == "":
			odd = name + " is " + service.Clean(string(fields[field]))
		}
		if errors.Is(err, strconv.ErrSyntax) {
			return math.NaN()
		}
		return value
	}
	c.Open, c.High, c.Low, c.Close = number(1, "open"), number(2, "high"), number(3, "low"), number(4, "close")
	c.Volume = number(5, "volume")
	if quoteVolume := number(7, "quote volume"); dollars {
		c.VolumeUSD = quoteVolume
	}
	return c, odd, nil
}

// closesAfter reports whether a row's close time is that of a candle of the interval: its last moment, in the row's unit.
func closesAfter[T string | []byte](fields []T, interval candle.Interval) bool {
	open, err := strconv.ParseInt(string(fields[0]), 10, 64)
	if err != nil {
		return false
	}
	end, err := strconv.ParseInt(string(fields[6]), 10, 64)
	return err == nil && end-open == interval.Seconds()*perSecond(open)-1
}

// openTime reads milliseconds, or the microseconds that files have from 2025 on, as Unix seconds.
func openTime(text string) (int64, error) {
	t, err := strconv.ParseInt(text, 10, 64)
	if err != nil || t < 0 {
		return 0, errors.New("the open time is no number")
	}
	unit := perSecond(t)
	if t%unit != 0 || t/unit > math.MaxUint32 {
		return 0, fmt.Errorf("the open time %d is no whole second", t)
	}
	return t / unit, nil
}

// perSecond is how many of a time's units make a second.
func perSecond(t int64) int64 {
	if t >= 1e14 { // in milliseconds that would be the year 5138
		return 1e6
	}
	return 1e3
}

// dollarAssets are quote assets that stand for a US dollar.
var dollarAssets = []string{"USDT", "USDC", "FDUSD", "BUSD", "TUSD", "USDP", "DAI", "USD1", "USDS", "PAX"}

// hasDollarQuote goes by the symbol's end; a symbol does not say where its base asset ends.
func hasDollarQuote(symbol string) bool {
	for _, asset := range dollarAssets {
		if base, found := strings.CutSuffix(symbol, asset); found && base != "" {
			return true
		}
	}
	return false
}

func byOpenTime(a, b candle.Candle) int { return cmp.Compare(a.OpenTime, b.OpenTime) }

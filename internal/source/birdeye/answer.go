package birdeye

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"
	"time"

	"github.com/go-faster/jx"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/source/service"
)

// quotaWait is how long an account whose quota is used up is left alone; the period renews at a time we do not know.
const quotaWait = time.Hour

// failure is the body of an error.
type failure struct {
	Success *bool  `json:"success"`
	Message string `json:"message"`
}

// quotaMessage comes with a plain 400 when the account's compute units are used up.
const quotaMessage = "compute units usage limit exceeded"

// readFailure is service.Config.Failure.
func readFailure(status int, _ http.Header, body []byte, retryAfter time.Duration) service.Failure {
	var f failure
	isJSON := json.Unmarshal(body, &f) == nil
	switch {
	case strings.Contains(strings.ToLower(f.Message), quotaMessage):
		return service.Failure{Class: backfill.ClassParked, Message: f.Message, RetryAfter: quotaWait}
	case status == http.StatusForbidden && !isJSON: // the firewall in front of the service answers in HTML
		return service.Failure{Class: backfill.ClassUnavailable}
	}
	return service.Failure{Class: service.StatusClass(status), Message: f.Message, RetryAfter: retryAfter}
}

// answer is the body of a success.
type answer struct {
	success bool
	message string
	// listed tells that there were items, which may be none.
	listed  bool
	candles []candle.Candle
	// flaw is what is wrong with an item.
	flaw error
}

// itemBytes is about what a candle takes in an answer; a wrong guess costs a copy.
const itemBytes = 140

// decodePage refuses what is no whole answer, so that a cut or foreign body is never taken for an empty range (R8).
func decodePage(body []byte) ([]candle.Candle, error) {
	a := answer{candles: make([]candle.Candle, 0, min(len(body)/itemBytes, pageSize))}
	err := service.Decode(body, func(d *jx.Decoder) error { return d.ObjBytes(a.readField) })
	switch {
	case a.flaw != nil:
		return nil, a.flaw
	case err != nil:
		return nil, fmt.Errorf("answer is no whole JSON (%d bytes)", len(bytes.TrimSpace(body)))
	case !a.success:
		return nil, fmt.Errorf("answer without success: %s", service.Clean(a.message))
	case !a.listed:
		return nil, errors.New("answer without items")
	}
	return a.candles, nil
}

func (a *answer) readField(d *jx.Decoder, key []byte) (err error) {
	if service.Null(d) {
		return nil
	}
	switch string(key) {
	case "success":
		a.success, err = d.Bool()
	case "message":
		a.message, err = d.Str()
	case "data":
		err = d.ObjBytes(a.readData)
	default:
		err = d.Skip()
	}
	return err
}

func (a *answer) readData(d *jx.Decoder, key []byte) error {
	if string(key) != "items" || d.Next() == jx.Null {
		return d.Skip()
	}
	a.listed, a.candles = true, a.candles[:0]
	var it item
	read := it.read // one closure for all items
	return d.Arr(func(d *jx.Decoder) error {
		it = item{}
		if err := d.ObjBytes(read); err != nil {
			return err
		}
		if a.flaw = it.check(len(a.candles)); a.flaw != nil {
			return a.flaw
		}
		a.candles = append(a.candles, it.candle)
		return nil
	})
}

// item is one candle of an answer.
type item struct {
	candle candle.Candle
	has    fields
}

// fields tells which of the fields that an item must have were there.
type fields uint8

const (
	hasTime fields = 1 << iota
	hasOpen
	hasHigh
	hasLow
	hasClose
	hasAll fields = 1<<iota - 1
)

func (it *item) read(d *jx.Decoder, key []byte) (err error) {
	var field fields
	var value *float64
	switch string(key) {
	case "unix_time":
		if service.Null(d) {
			return nil
		}
		it.has |= hasTime
		it.candle.OpenTime, err = service.Int(d)
		return err
	case "o":
		field, value = hasOpen, &it.candle.Open
	case "h":
		field, value = hasHigh, &it.candle.High
	case "l":
		field, value = hasLow, &it.candle.Low
	case "c":
		field, value = hasClose, &it.candle.Close
	case "v":
		value = &it.candle.Volume
	case "v_usd":
		value = &it.candle.VolumeUSD
	default:
		return d.Skip()
	}
	if service.Null(d) {
		return nil
	}
	it.has |= field
	*value, err = service.Float(d)
	return err
}

func (it *item) check(index int) error {
	if it.has != hasAll {
		return fmt.Errorf("item %d of the answer lacks its time or a price", index)
	}
	if t := it.candle.OpenTime; t < 0 || t > math.MaxUint32 {
		return fmt.Errorf("item %d of the answer has the time %d", index, t)
	}
	return nil
}

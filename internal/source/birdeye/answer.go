package birdeye

import (
	"bytes"
	"cmp"
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
	foreign := json.Unmarshal(body, &f) != nil || f.Success == nil // the firewall in front of the service responds in HTML
	if strings.Contains(strings.ToLower(f.Message), quotaMessage) {
		return service.Failure{Class: backfill.ClassParked, Message: f.Message, RetryAfter: quotaWait}
	}
	return service.Failure{Class: service.StatusClass(status), Message: f.Message, RetryAfter: retryAfter, Foreign: foreign}
}

// question is what an answer has to be about.
type question struct {
	token    candle.Token
	interval candle.Interval
	window   candle.Range
}

// answer is the body of a success.
type answer struct {
	about   question
	success bool
	message string
	// listed says that there were items, which may be none.
	listed bool
	rows   service.Rows
	seen   fields
	// flaw is why the answer is refused where the JSON is whole.
	flaw error
}

// itemBytes is about what a candle takes in an answer.
const itemBytes = 140

// decodePage refuses what is no whole answer to the question, so that a cut or foreign body is never taken for an empty
// range (R8).
func decodePage(body []byte, about question) ([]candle.Candle, []backfill.Oddity, error) {
	a := answer{about: about, rows: service.NewRows(min(about.window.Candles(about.interval), pageSize), len(body), itemBytes)}
	err := service.Decode(body, func(d *jx.Decoder) error { return d.ObjBytes(a.readField) })
	switch {
	case a.flaw != nil:
		return nil, nil, a.flaw
	case err != nil:
		return nil, nil, fmt.Errorf("answer is no whole JSON (%d bytes)", len(bytes.TrimSpace(body)))
	case !a.success:
		return nil, nil, fmt.Errorf("answer without success: %s", service.Clean(a.message))
	case !a.listed:
		return nil, nil, errors.New("answer without items")
	}
	candles, odd, err := a.rows.Page(about.interval)
	if err == nil {
		err = service.InWindow(candles, about.window)
	}
	if err != nil {
		return nil, nil, err
	}
	return candles, odd, nil
}

// fields says which fields of an object were there. Those of the response and of an item are distinguished by where they are.
type fields uint16

const (
	hasSuccess fields = 1 << iota
	hasMessage
	hasData
	hasItems
)

const (
	hasTime fields = 1 << iota
	hasOpen
	hasHigh
	hasLow
	hasClose
	hasVolume
	hasVolumeUSD
	hasAddress
	hasType
	hasCurrency

	hasPrices = hasOpen | hasHigh | hasLow | hasClose
)

// note refuses a field that was there before.
func (f *fields) note(field fields) error {
	if *f&field != 0 {
		return service.ErrRepeated
	}
	*f |= field
	return nil
}

func (a *answer) readField(d *jx.Decoder, key []byte) (err error) {
	switch string(key) {
	case "success":
		if err = a.note(hasSuccess); err == nil && !service.Null(d) {
			a.success, err = d.Bool()
		}
	case "message":
		if err = a.note(hasMessage); err == nil && !service.Null(d) {
			a.message, err = d.Str()
		}
	case "data":
		if err = a.note(hasData); err == nil && !service.Null(d) {
			err = d.ObjBytes(a.readData)
		}
	default:
		err = d.Skip()
	}
	return err
}

func (a *answer) note(field fields) error {
	a.flaw = cmp.Or(a.flaw, a.seen.note(field))
	return a.flaw
}

func (a *answer) readData(d *jx.Decoder, key []byte) error {
	if string(key) != "items" {
		return d.Skip()
	}
	if err := a.note(hasItems); err != nil || service.Null(d) {
		return err
	}
	a.listed = true
	it := item{about: &a.about, typeName: intervalNames[a.about.interval]}
	read := it.read // one closure for all items
	return d.Arr(func(d *jx.Decoder) error {
		it.reset()
		var err error
		if d.Next() == jx.Object {
			err = d.ObjBytes(read)
		} else {
			err = d.Skip()
		}
		if err == nil {
			it.flaw = it.add(&a.rows)
			err = it.flaw
		}
		if it.flaw != nil {
			a.flaw = fmt.Errorf("item %d of the answer: %w", len(a.rows.Candles), it.flaw)
		}
		return err
	})
}

// item is one candle of an answer.
type item struct {
	about    *question
	typeName string
	candle   candle.Candle
	has      fields
	timed    bool
	odd      string // the first field that is no number
	flaw     error  // why the answer is refused
}

func (it *item) reset() {
	it.candle, it.has, it.timed, it.odd = candle.Candle{}, 0, false, ""
}

func (it *item) read(d *jx.Decoder, key []byte) (err error) {
	switch string(key) {
	case "unix_time":
		if it.flaw = it.has.note(hasTime); it.flaw == nil {
			it.candle.OpenTime, it.timed, err = service.Time(d)
		}
	case "o":
		err = it.value(d, "o", hasOpen, &it.candle.Open)
	case "h":
		err = it.value(d, "h", hasHigh, &it.candle.High)
	case "l":
		err = it.value(d, "l", hasLow, &it.candle.Low)
	case "c":
		err = it.value(d, "c", hasClose, &it.candle.Close)
	case "v":
		err = it.value(d, "v", hasVolume, &it.candle.Volume)
	case "v_usd":
		err = it.value(d, "v_usd", hasVolumeUSD, &it.candle.VolumeUSD)
	case "address":
		err = it.same(d, hasAddress, it.isToken)
	case "type":
		err = it.same(d, hasType, it.isInterval)
	case "currency":
		err = it.same(d, hasCurrency, isUSD)
	default:
		return d.Skip()
	}
	return cmp.Or(it.flaw, err)
}

// value reads a price or volume. The volumes may be missing, and null says that they are.
func (it *item) value(d *jx.Decoder, name string, field fields, into *float64) (err error) {
	if it.flaw = it.has.note(field); it.flaw != nil {
		return it.flaw
	}
	if field&(hasVolume|hasVolumeUSD) != 0 && service.Null(d) {
		return nil
	}
	var odd string
	if *into, odd, err = service.Value(d); odd != "" && it.odd == "" {
		it.odd = name + " is " + odd
	}
	return err
}

// same reads a field that repeats something of the question; a null repeats nothing.
func (it *item) same(d *jx.Decoder, field fields, isAsked func([]byte) error) error {
	if it.flaw = it.has.note(field); it.flaw != nil || service.Null(d) {
		return it.flaw
	}
	text, err := d.StrBytes()
	if err == nil {
		it.flaw = isAsked(text)
	}
	return err
}

// isToken compares exactly where case carries information.
func (it *item) isToken(address []byte) error {
	asked := it.about.token
	if string(address) == asked.Address || asked.Chain != candle.Solana && strings.EqualFold(string(address), asked.Address) {
		return nil
	}
	return fmt.Errorf("it is of another token: %s", service.Clean(string(address)))
}

// isInterval also takes our own word for an interval, which never means another one of the service's.
func (it *item) isInterval(name []byte) error {
	if string(name) == it.typeName || string(name) == it.about.interval.String() {
		return nil
	}
	return fmt.Errorf("it is of another interval: %s", service.Clean(string(name)))
}

func isUSD(currency []byte) error {
	if strings.EqualFold(string(currency), "usd") {
		return nil
	}
	return fmt.Errorf("it is in another currency: %s", service.Clean(string(currency)))
}

// add gives what was read to the candles of the answer.
func (it *item) add(rows *service.Rows) error {
	if !it.timed {
		return rows.AddUntimed("it has no time that a candle can have")
	}
	if it.has&hasPrices != hasPrices {
		it.missing()
	}
	return rows.Add(it.candle, it.odd)
}

func (it *item) missing() {
	c := &it.candle
	for _, price := range [...]struct {
		field fields
		name  string
		value *float64
	}{{hasOpen, "o", &c.Open}, {hasHigh, "h", &c.High}, {hasLow, "l", &c.Low}, {hasClose, "c", &c.Close}} {
		if it.has&price.field == 0 {
			*price.value = math.NaN()
			it.odd = cmp.Or(it.odd, price.name+" is missing")
		}
	}
}

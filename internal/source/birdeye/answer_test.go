package birdeye

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/simmarket"
	"quantbot/internal/source/service"
)

func fullPage(tb testing.TB) []byte {
	tb.Helper()
	recorder := httptest.NewRecorder()
	request := httptest.NewRequest(http.MethodGet, "/defi/v3/ohlcv?address="+token.Address+"&type=1m&time_from=1740000000&time_to=1750000000", nil)
	simmarket.NewServer(simmarket.Options{Market: simmarket.NewMarket(1), Now: time.Now}).ServeHTTP(recorder, request)
	return recorder.Body.Bytes()
}

// always is a question that every candle is about.
var always = question{token, candle.Interval1m, candle.Range{To: 1 << 32}}

// reference decodes with encoding/json, by reflection: slow, and right about what is JSON and what a number is. It reads
// items that are whole; ok is false for the others as well.
func reference(body []byte) (candles []candle.Candle, ok bool) {
	var a struct {
		Success bool `json:"success"`
		Data    *struct {
			Items *[]struct {
				UnixTime *int64   `json:"unix_time"`
				Open     *float64 `json:"o"`
				High     *float64 `json:"h"`
				Low      *float64 `json:"l"`
				Close    *float64 `json:"c"`
				Volume   float64  `json:"v"`
				USD      float64  `json:"v_usd"`
			} `json:"items"`
		} `json:"data"`
	}
	if json.Unmarshal(body, &a) != nil || !a.Success || a.Data == nil || a.Data.Items == nil {
		return nil, false
	}
	candles = []candle.Candle{}
	for _, it := range *a.Data.Items {
		if it.UnixTime == nil || it.Open == nil || it.High == nil || it.Low == nil || it.Close == nil || *it.UnixTime < 0 || *it.UnixTime > math.MaxUint32 {
			return nil, false
		}
		candles = append(candles, candle.Candle{OpenTime: *it.UnixTime, Open: *it.Open, High: *it.High, Low: *it.Low, Close: *it.Close, Volume: it.Volume, VolumeUSD: it.USD})
	}
	return candles, true
}

func priced(price string) string {
	return `{"success":true,"data":{"items":[{"unix_time":60,"o":` + price + `,"h":1,"l":1,"c":1,"v":1,"v_usd":2,"type":"1m"}]}}`
}

func TestDecodePageEqualsReference(t *testing.T) {
	t.Parallel()
	one := priced("1")
	bodies := []string{
		string(fullPage(t)), priced("0"), priced("-0"), priced("1e-9"), priced("1E+2"), priced("01"), priced("1."), priced(".1"), priced("+1"), priced("NaN"),
		// Beyond 53 bits: a decoder that divides an integer by a power of ten is off by one bit.
		priced("1234567890123.123456"), priced("9007199254740993"), priced("0.30000000000000004"), priced("5e-324"), priced("1.7976931348623157e308"), priced("123456789012345678901234567890.5"),
		one + " \n", one + "x", one + one, one[:80], "", "null", "[]", `{"success":true}`, `{"success":true,"data":null}`,
		`{"success":true,"data":{"items":null}}`, `{"success":true,"data":{"items":[]}}`, `{"success":null,"data":{"items":[]}}`, `{"data":{"items":[]},"success":true}`,
		`{"success":true,"data":{"items":[null]}}`, `{"success":true,"data":{"items":[{}]}}`, `{"success":true,"data":{"items":[{"unix_time":6e1,"o":1,"h":1,"l":1,"c":1}]}}`,
		`{"success":true,"data":{"items":[{"unix_time":4294967296,"o":1,"h":1,"l":1,"c":1}]}}`,
	}
	for _, body := range bodies {
		want, ok := reference([]byte(body))
		got, odd, err := decodePage([]byte(body), always)
		require.Equal(t, ok, err == nil, "%.200s: %v", body, err)
		require.Empty(t, odd)
		if ok {
			require.Equal(t, want, got, "%.200s", body)
		}
	}
}

// One item that cannot be read costs that candle, not the page.
func TestOddItemsAreDistinguished(t *testing.T) {
	t.Parallel()
	page := func(items ...string) []byte {
		return []byte(`{"success":true,"data":{"items":[` + strings.Join(items, ",") + `]}}`)
	}
	whole := func(open int) string { return fmt.Sprintf(`{"unix_time":%d,"o":1,"h":1,"l":1,"c":1,"v":1}`, open) }
	for odd, text := range map[string]string{
		`{"unix_time":120,"o":null,"h":1,"l":1,"c":1}`:       "o is null",
		`{"unix_time":120,"o":1,"h":"2","l":1,"c":1}`:        "h is a string",
		`{"unix_time":120,"o":1,"h":1,"l":[1],"c":1}`:        "l is a list",
		`{"unix_time":120,"o":1,"h":1,"l":1,"c":{}}`:         "c is an object",
		`{"unix_time":120,"o":1,"h":1,"l":1,"c":1e999}`:      "c is above the largest number",
		`{"unix_time":120,"o":1,"h":1,"l":1}`:                "c is missing",
		`{"unix_time":120,"o":1,"h":1,"l":1,"c":1,"v":true}`: "v is a truth value",
		`null`: "it has no time that a candle can have",
		`"?"`:  "it has no time that a candle can have",
		`{"unix_time":"120","o":1,"h":1,"l":1,"c":1}`: "it has no time that a candle can have",
		`{"unix_time":1e99,"o":1,"h":1,"l":1,"c":1}`:  "it has no time that a candle can have",
	} {
		candles, oddities, err := decodePage(page(whole(60), odd, whole(180)), always)
		require.NoError(t, err, odd)
		require.Len(t, candles, 3)
		require.Equal(t, []backfill.Oddity{{OpenTime: 120, Text: "item 1 of the answer: " + text}}, oddities)
		require.Equal(t, candle.RuleNotFinite, candle.Check(candles[1], candle.Interval1m, candle.Lenient, 1_000), odd)
		require.Equal(t, candle.RuleNone, candle.Check(candles[2], candle.Interval1m, candle.Lenient, 1_000), odd)
	}
	for _, ambiguous := range [][]byte{page("null", whole(180)), page(whole(60), "null"), page(whole(60), "null", whole(240)), page(whole(60), "null", "null", whole(240))} {
		_, _, err := decodePage(ambiguous, always)
		require.ErrorContains(t, err, "no time", "it could be any of those that are missing: %s", ambiguous)
	}
}

func TestAnAnswerIsAboutTheQuestion(t *testing.T) {
	t.Parallel()
	evm := candle.Token{Chain: candle.Base, Address: "0x4200000000000000000000000000000000000006"}
	page := func(fields string) []byte {
		return []byte(`{"success":true,"data":{"items":[{"unix_time":60,"o":1,"h":1,"l":1,"c":1` + fields + `}]}}`)
	}
	for name, test := range map[string]struct {
		token    candle.Token
		interval candle.Interval
		fields   string
		err      string
	}{
		"nothing named":         {token, candle.Interval1m, ``, ""},
		"all named":             {token, candle.Interval1m, `,"address":"` + token.Address + `","type":"1m","currency":"usd"`, ""},
		"nulls":                 {token, candle.Interval1m, `,"address":null,"type":null,"currency":null`, ""},
		"another token":         {token, candle.Interval1m, `,"address":"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v"`, "another token"},
		"another case":          {token, candle.Interval1m, `,"address":"` + strings.ToLower(token.Address) + `"`, "another token"},
		"another case of hex":   {evm, candle.Interval1m, `,"address":"` + strings.ToUpper(evm.Address) + `"`, ""},
		"the service's word":    {token, candle.Interval1h, `,"type":"1H"`, ""},
		"another interval":      {token, candle.Interval1m, `,"type":"5m"`, "another interval"},
		"a month for a minute":  {token, candle.Interval1m, `,"type":"1M"`, "another interval"},
		"another currency":      {token, candle.Interval1m, `,"currency":"native"`, "another currency"},
		"a repeated price":      {token, candle.Interval1m, `,"c":2`, "twice"},
		"a repeated time":       {token, candle.Interval1m, `,"unix_time":60`, "twice"},
		"a repeated null":       {token, candle.Interval1m, `,"v":1,"v":null`, "twice"},
		"a token that is none":  {token, candle.Interval1m, `,"address":5`, "no whole JSON"},
		"a repeated other name": {token, candle.Interval1m, `,"x":1,"x":1`, ""},
	} {
		_, _, err := decodePage(page(test.fields), question{test.token, test.interval, candle.Range{To: 3_600}})
		if test.err == "" {
			require.NoError(t, err, name)
			continue
		}
		require.ErrorContains(t, err, test.err, name)
	}
	for name, body := range map[string]string{
		"items":   `{"success":true,"data":{"items":[{"unix_time":60,"o":1,"h":1,"l":1,"c":1}],"items":[]}}`,
		"null":    `{"success":true,"data":{"items":null,"items":[]}}`,
		"data":    `{"success":true,"data":{"items":[]},"data":{}}`,
		"success": `{"success":false,"success":true,"data":{"items":[]}}`,
	} {
		_, _, err := decodePage([]byte(body), always)
		require.ErrorIs(t, err, service.ErrRepeated, name)
	}
}

// What is taken for an answer is one, and its numbers are those of the text.
func FuzzDecodePage(f *testing.F) {
	f.Add([]byte(`{"success":true,"data":{"items":[{"unix_time":60,"o":1,"h":1,"l":1,"c":1,"v":1,"v_usd":2}]}}`))
	f.Add([]byte(`{"success":false,"message":"no"}`))
	f.Add([]byte(`<html>`))
	f.Fuzz(func(t *testing.T, body []byte) {
		candles, odd, err := decodePage(body, always)
		if err != nil {
			require.Nil(t, candles, "candles beside an error")
			return
		}
		if !bytes.Equal(body, bytes.ToLower(body)) || bytes.ContainsAny(body, "\\\x80") || !utf8.Valid(body) {
			t.Skip("encoding/json ignores the case of names")
		}
		if len(odd) > 0 {
			t.Skip("the reference knows whole items only")
		}
		want, ok := reference(body)
		require.True(t, ok, "taken for an answer")
		require.Equal(t, want, candles)
	})
}

func BenchmarkDecodePage(b *testing.B) {
	body := fullPage(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		candles, _, err := decodePage(body, always)
		if err != nil || len(candles) != pageSize {
			b.Fatal(len(candles), err)
		}
	}
}

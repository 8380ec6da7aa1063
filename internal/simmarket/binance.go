package simmarket

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"quantbot/internal/candle"
)

// The most candles of one answer of Binance, and how many come unasked.
const (
	klinesLimit   = 1_000
	klinesDefault = 500
)

// binance words an error as Binance spot does.
var binance = dialect{
	contentType: "application/json;charset=UTF-8",
	refuse:      func(r errorResponse) string { return fmt.Sprintf(`{"code":%d,"msg":%q}`, r.code, r.message) },
	faults: map[string]errorResponse{
		"500": {status: http.StatusInternalServerError, code: -1001, message: "Internal error; unable to process your request. Please try again."},
		"429": {status: http.StatusTooManyRequests, code: -1003, message: "Too much request weight used; current limit is 6000 request weight per 1 MINUTE."},
		"418": {status: http.StatusTeapot, code: -1003, message: "Way too much request weight used; IP banned."},
	},
}

func (s *Server) ping(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, binance, "", func(*Fault) ([]byte, int, *errorResponse) { return []byte(`{}`), 0, nil })
}

// klines serves GET /api/v3/klines. Unlike the service's, a question without startTime is refused.
func (s *Server) klines(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	s.answer(w, r, binance, query.Get("symbol"), func(fault *Fault) ([]byte, int, *errorResponse) {
		token, interval, refused := parseSymbol(query.Get("symbol"), query.Get("interval"))
		if refused != nil {
			return nil, 0, refused
		}
		from, fromErr := strconv.ParseInt(query.Get("startTime"), 10, 64)
		to, toErr := strconv.ParseInt(query.Get("endTime"), 10, 64)
		limit, limitErr := strconv.Atoi(query.Get("limit"))
		if limitErr != nil {
			limit = klinesDefault
		}
		if fromErr != nil || toErr != nil {
			return nil, 0, &errorResponse{status: http.StatusBadRequest, code: -1100, message: "Illegal characters found in a parameter."}
		}
		window := candle.Range{From: interval.Ceil((from + 999) / 1000), To: to/1000 + 1} // a candle that opens at endTime is included
		found := s.options.Market.candles(token, interval, window, min(max(limit, 1), klinesLimit))
		body := []byte{'['}
		for i, c := range spoil(found, window, interval, fault) {
			if i > 0 {
				body = append(body, ',')
			}
			body = append(body, '[')
			body = append(appendRow(body, c, interval, time.Millisecond, `"`), ']')
		}
		return append(body, ']'), len(found), nil
	})
}

// parseSymbol: every valid symbol trades.
func parseSymbol(symbol, name string) (candle.Token, candle.Interval, *errorResponse) {
	token, err := candle.NewToken(candle.BinanceSpot, symbol)
	if err != nil || token.Address != symbol {
		return candle.Token{}, 0, &errorResponse{status: http.StatusBadRequest, code: -1121, message: "Invalid symbol."}
	}
	interval, err := candle.ParseInterval(name)
	if err != nil || interval == candle.Interval15s {
		return candle.Token{}, 0, &errorResponse{status: http.StatusBadRequest, code: -1120, message: "Invalid interval."}
	}
	return token, interval, nil
}

// dump serves GET /data/spot/{period}/klines/{symbol}/{interval}/{file}: the candles of a day or a month in a zip, or the
// checksum of that. It is there once the period is over and if the symbol traded in it.
func (s *Server) dump(w http.ResponseWriter, r *http.Request) {
	dialect := binance
	dialect.contentType = "binary/octet-stream"
	s.answer(w, r, dialect, r.PathValue("symbol"), func(fault *Fault) ([]byte, int, *errorResponse) {
		missing := &errorResponse{status: http.StatusNotFound, message: "The specified key does not exist."}
		token, interval, refused := parseSymbol(r.PathValue("symbol"), r.PathValue("interval"))
		zipped, checksum := strings.CutSuffix(r.PathValue("file"), ".CHECKSUM")
		name, isZip := strings.CutSuffix(zipped, ".zip")
		stamp, ours := strings.CutPrefix(name, token.Address+"-"+interval.String()+"-")
		period, published := s.published(r.PathValue("period"), stamp)
		if refused != nil || !isZip || !ours || !published {
			return nil, 0, missing
		}
		found := s.options.Market.Candles(token, interval, period)
		if len(found) == 0 {
			return nil, 0, missing
		}
		body := archive(name+".csv", spoil(found, period, interval, fault), interval)
		if checksum {
			return fmt.Appendf(nil, "%x  %s\n", sha256.Sum256(body), zipped), 0, nil
		}
		return body, len(found), nil
	})
}

// published returns the day or month that a dump is named after.
func (s *Server) published(period, stamp string) (candle.Range, bool) {
	layout, months, days := time.DateOnly, 0, 1
	if period == "monthly" {
		layout, months, days = "2006-01", 1, 0
	}
	begin, err := time.Parse(layout, stamp)
	end := begin.AddDate(0, months, days)
	return candle.Range{From: begin.Unix(), To: end.Unix()}, err == nil && !end.After(s.options.Now())
}

// microsecondsFrom is when the dumps went over from milliseconds: 2025-01-01.
const microsecondsFrom = 1_735_689_600

// quickly packs a market that is made up for each request: the usual level takes seconds for a day of seconds.
func quickly(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) }

// archive packs candles as the exchange publishes them.
func archive(name string, candles []candle.Candle, interval candle.Interval) []byte {
	var rows []byte
	for _, c := range candles {
		unit := time.Millisecond
		if c.OpenTime >= microsecondsFrom {
			unit = time.Microsecond
		}
		rows = append(appendRow(rows, c, interval, unit, ""), '\n')
	}
	var body bytes.Buffer // writing to memory never fails
	file := zip.NewWriter(&body)
	file.RegisterCompressor(zip.Deflate, quickly)
	entry, _ := file.Create(name)
	_, _ = entry.Write(rows)
	_ = file.Close()
	return body.Bytes()
}

// appendRow writes the twelve fields of a candle: times in the unit, numbers in quotes.
func appendRow(body []byte, c candle.Candle, interval candle.Interval, unit time.Duration, quote string) []byte {
	perSecond := int64(time.Second / unit)
	number := func(v float64) {
		body = append(body, quote...)
		body = strconv.AppendFloat(body, v, 'f', -1, 64)
		body = append(append(body, quote...), ',')
	}
	body = append(strconv.AppendInt(body, c.OpenTime*perSecond, 10), ',')
	for _, v := range [...]float64{c.Open, c.High, c.Low, c.Close, c.Volume} {
		number(v)
	}
	body = append(strconv.AppendInt(body, interval.Next(c.OpenTime)*perSecond-1, 10), ',')
	number(c.VolumeUSD)
	body = append(body, "1,"...)
	number(c.Volume / 2)
	number(c.VolumeUSD / 2)
	return append(append(append(body, quote...), '0'), quote...)
}

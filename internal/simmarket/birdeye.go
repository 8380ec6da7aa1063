package simmarket

import (
	"fmt"
	"math"
	"net/http"
	"strconv"

	"quantbot/internal/candle"
)

// pageLimit is the most candles of one answer.
const pageLimit = 5_000

// birdeye words an error as the API does whose name it has.
var birdeye = dialect{
	contentType: "application/json; charset=utf-8",
	refuse:      func(r errorResponse) string { return fmt.Sprintf(`{"success":false,"message":%q}`, r.message) },
	faults: map[string]errorResponse{
		"500":   {status: http.StatusInternalServerError, message: "Internal Server Error"},
		"429":   {status: http.StatusTooManyRequests, message: "Too many requests"},
		"401":   {status: http.StatusUnauthorized, message: "Your API key is either suspended or lacks sufficient permissions to access this resource."},
		"quota": {status: http.StatusBadRequest, message: "Compute units usage limit exceeded"},
	},
}

// question is a checked candle request.
type question struct {
	token    candle.Token
	interval candle.Interval
	window   candle.Range
	padding  bool
}

func (s *Server) candles(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, birdeye, r.URL.Query().Get("address"), func(fault *Fault) (body []byte, served int, refused *errorResponse) {
		if s.options.KeyRequired && r.Header.Get("X-Api-Key") == "" {
			return nil, 0, &errorResponse{status: http.StatusUnauthorized, message: "Unauthorized. Authentication required."}
		}
		q, ok := parseQuestion(r)
		if !ok {
			return nil, 0, &errorResponse{status: http.StatusBadRequest, message: "Invalid request parameters or payload."}
		}
		found := s.options.Market.candles(q.token, q.interval, q.window, pageLimit)
		s.noteResponse(q, found, fault)
		if q.padding {
			found = pad(found, q)
		}
		return render(spoil(found, q.window, q.interval, fault), q), len(found), nil
	})
}

// intervals are the service's names.
var intervals = map[string]candle.Interval{
	"1s": candle.Interval1s, "15s": candle.Interval15s, "1m": candle.Interval1m, "5m": candle.Interval5m,
	"15m": candle.Interval15m, "1H": candle.Interval1h, "4H": candle.Interval4h, "1D": candle.Interval1d,
}

func parseQuestion(r *http.Request) (question, bool) {
	query := r.URL.Query()
	interval, known := intervals[query.Get("type")]
	from, fromErr := strconv.ParseInt(query.Get("time_from"), 10, 64)
	to, toErr := strconv.ParseInt(query.Get("time_to"), 10, 64)
	const latest = 10_000_000_000
	if !known || fromErr != nil || toErr != nil || from < 0 || from > latest || to < 0 || to > latest || query.Get("address") == "" {
		return question{}, false
	}
	chain := candle.Chain(r.Header.Get("X-Chain"))
	if chain == "" {
		chain = candle.Solana
	}
	return question{
		token:    candle.Token{Chain: chain, Address: query.Get("address")},
		interval: interval,
		window:   candle.Range{From: interval.Ceil(from), To: to + 1},
		padding:  query.Get("padding") == "true",
	}, true
}

// pad fills empty intervals with the previous close, as the service does when asked to.
func pad(found []candle.Candle, q question) []candle.Candle {
	if len(found) == 0 {
		return nil
	}
	padded := make([]candle.Candle, 0, min(q.window.Candles(q.interval), pageLimit))
	for open := found[0].OpenTime; open < q.window.To && len(padded) < pageLimit; open += q.interval.Seconds() {
		if len(found) > 0 && found[0].OpenTime == open {
			padded = append(padded, found[0])
			found = found[1:]
			continue
		}
		last := padded[len(padded)-1].Close
		padded = append(padded, candle.Candle{OpenTime: open, Open: last, High: last, Low: last, Close: last})
	}
	return padded
}

// render writes the answer by hand: encoding/json would take most of a benchmark's time.
func render(candles []candle.Candle, q question) []byte {
	name := ""
	for theirs, interval := range intervals {
		if interval == q.interval {
			name = theirs
		}
	}
	body := make([]byte, 0, 64+192*len(candles))
	body = append(body, `{"success":true,"data":{"is_scaled_ui_token":false,"items":[`...)
	for i, c := range candles {
		if i > 0 {
			body = append(body, ',')
		}
		body = append(body, `{"unix_time":`...)
		body = strconv.AppendInt(body, c.OpenTime, 10)
		for _, field := range [...]struct {
			name  string
			value float64
		}{{"o", c.Open}, {"h", c.High}, {"l", c.Low}, {"c", c.Close}, {"v", c.Volume}, {"v_usd", c.VolumeUSD}} {
			body = append(body, `,"`...)
			body = append(body, field.name...)
			body = append(body, `":`...)
			body = appendNumber(body, field.value)
		}
		body = append(body, `,"type":"`...)
		body = append(body, name...)
		body = append(body, `","currency":"usd"}`...)
	}
	return append(body, `]}}`...)
}

// appendNumber writes the shortest text that reads back as the same number.
func appendNumber(body []byte, v float64) []byte {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.AppendFloat(body, v, 'e', -1, 64)
	}
	return strconv.AppendFloat(body, v, 'f', -1, 64)
}

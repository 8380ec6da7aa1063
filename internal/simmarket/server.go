package simmarket

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"quantbot/internal/candle"
)

// Options configure a Server.
type Options struct {
	Market *Market
	// RPS refuses more requests than this in any rolling second; 0 = no limit.
	RPS int
	// Latency delays each answer.
	Latency time.Duration
	Faults  []Fault
	// KeyRequired answers 401 to a request without X-API-KEY.
	KeyRequired bool
	Now         func() time.Time
}

// Server answers as Birdeye would, and keeps count of what it was asked.
type Server struct {
	options Options
	mux     *http.ServeMux

	mu     sync.Mutex
	faults []*faultState
	began  time.Time
	number int64
	recent []time.Time // of the last second, oldest first
	stats  Stats
}

type faultState struct {
	Fault
	hits int64
}

// Stats is what the server was asked and what it answered.
type Stats struct {
	Requests int64         `json:"requests"`
	ByStatus map[int]int64 `json:"by_status"`
	// MostPerSecond is the most requests in any rolling second, refused ones included.
	MostPerSecond int `json:"most_per_second"`
	// ByToken counts candle requests of at most maxTokens tokens, and Served the candles sent for them.
	ByToken map[string]int64 `json:"by_token"`
	Served  map[string]int64 `json:"served"`
}

// maxTokens bounds what the statistics remember.
const maxTokens = 200_000

// pageLimit is the most candles of one answer.
const pageLimit = 5_000

// NewServer returns a handler; it starts nothing.
func NewServer(o Options) *Server {
	s := &Server{options: o, mux: http.NewServeMux(), began: o.Now()}
	s.stats = Stats{ByStatus: map[int]int64{}, ByToken: map[string]int64{}, Served: map[string]int64{}}
	s.SetFaults(o.Faults)
	s.mux.HandleFunc("GET /defi/v3/ohlcv", s.candles)
	s.mux.HandleFunc("GET /_sim/stats", s.writeStats)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// SetFaults replaces the faults; their counts and clocks begin anew.
func (s *Server) SetFaults(faults []Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.began = s.options.Now()
	s.faults = nil
	for _, f := range faults {
		s.faults = append(s.faults, &faultState{Fault: f})
	}
}

// Stats returns a copy of the counts.
func (s *Server) Stats() Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	stats := s.stats
	stats.ByStatus, stats.ByToken, stats.Served = clone(stats.ByStatus), clone(stats.ByToken), clone(stats.Served)
	return stats
}

func clone[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

func (s *Server) writeStats(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s.Stats()) // the client went away
}

// question is a checked candle request.
type question struct {
	token    candle.Token
	interval candle.Interval
	window   candle.Range
	padding  bool
}

func (s *Server) candles(w http.ResponseWriter, r *http.Request) {
	address := r.URL.Query().Get("address")
	fault, limited := s.admit(address)
	if !sleep(r, s.options.Latency) {
		return
	}
	switch {
	case limited:
		s.refuse(w, http.StatusTooManyRequests, "Too many requests", 1)
		return
	case s.options.KeyRequired && r.Header.Get("X-Api-Key") == "":
		s.refuse(w, http.StatusUnauthorized, "Unauthorized. Authentication required.", 0)
		return
	case fault != nil && s.misbehave(w, r, *fault):
		return
	}
	q, ok := parseQuestion(r)
	if !ok {
		s.refuse(w, http.StatusBadRequest, "Invalid request parameters or payload.", 0)
		return
	}
	found := s.options.Market.candles(q.token, q.interval, q.window, pageLimit)
	if q.padding {
		found = pad(found, q)
	}
	body := render(spoil(found, q, fault), q)
	s.count(http.StatusOK, address, int64(len(found)))
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if fault != nil && fault.Kind == "cut" {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		body = body[:len(body)/2]
	}
	_, _ = w.Write(body) // the client went away
}

// admit numbers the request and decides which fault hits it and whether it comes too fast.
func (s *Server) admit(token string) (hit *Fault, limited bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now()
	s.number++
	s.stats.Requests++
	if len(s.stats.ByToken) < maxTokens || s.stats.ByToken[token] > 0 {
		s.stats.ByToken[token]++
	}
	fresh, _ := slices.BinarySearchFunc(s.recent, now.Add(-time.Second), time.Time.Compare)
	s.recent = append(s.recent[fresh:], now)
	s.stats.MostPerSecond = max(s.stats.MostPerSecond, len(s.recent))
	if s.options.RPS > 0 && len(s.recent) > s.options.RPS {
		return nil, true
	}
	for _, f := range s.faults {
		if f.Fault.hits(s.number, f.hits, token, now.Sub(s.began)) {
			f.hits++
			return &f.Fault, false
		}
	}
	return nil, false
}

func (s *Server) count(status int, token string, served int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats.ByStatus[status]++
	if served > 0 && (len(s.stats.Served) < maxTokens || s.stats.Served[token] > 0) {
		s.stats.Served[token] += served
	}
}

// misbehave answers for the faults that replace the answer.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, f Fault) (answered bool) {
	switch f.Kind {
	case "500":
		s.refuse(w, http.StatusInternalServerError, "Internal Server Error", 0)
	case "429":
		s.refuse(w, http.StatusTooManyRequests, "Too many requests", f.RetryAfter)
	case "401":
		s.refuse(w, http.StatusUnauthorized, "Your API key is either suspended or lacks sufficient permissions to access this resource.", 0)
	case "quota":
		s.refuse(w, http.StatusBadRequest, "Compute units usage limit exceeded", 0)
	case "521":
		s.count(521, "", 0)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(521)
		_, _ = w.Write([]byte("<!DOCTYPE html><html><title>521: Web server is down</title></html>")) // the client went away
	case "slow":
		return !sleep(r, f.Delay)
	default:
		return false
	}
	return true
}

func (s *Server) refuse(w http.ResponseWriter, status int, message string, retryAfter int) {
	s.count(status, "", 0)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(retryAfter))
		w.Header().Set("X-Ratelimit-Limit", strconv.Itoa(s.options.RPS))
		w.Header().Set("X-Ratelimit-Remaining", "0")
		w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(s.options.Now().Add(time.Duration(retryAfter)*time.Second).Unix(), 10))
	}
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"success":false,"message":%q}`, message) // the client went away
}

// sleep answers false when the client went away.
func sleep(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// spoil applies the faults that change the candles.
func spoil(candles []candle.Candle, q question, f *Fault) []candle.Candle {
	if f == nil || len(candles) == 0 {
		return candles
	}
	switch f.Kind {
	case "duplicate":
		twin := candles[len(candles)/2]
		twin.Volume /= 2
		twin.VolumeUSD /= 2
		return slices.Insert(candles, len(candles)/2, twin)
	case "outside":
		stranger := candles[0]
		stranger.OpenTime = q.window.From - 10*q.interval.Seconds()
		return slices.Insert(candles, 0, stranger)
	case "late": // out of order, too
		stranger := candles[0]
		stranger.OpenTime = q.interval.Ceil(q.window.To) + 10*q.interval.Seconds()
		return slices.Insert(candles, 0, stranger)
	case "garbage": // every other candle has its high below its low
		candles = slices.Clone(candles)
		for i := 0; i < len(candles); i += 2 {
			candles[i].High = candles[i].Low / 2
		}
	}
	return candles
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
	padded := make([]candle.Candle, 0, min(q.window.Opens(q.interval), pageLimit))
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
		body = append(body, q.interval.String()...)
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

package simmarket

import (
	"encoding/json"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"quantbot/internal/candle"
	"quantbot/internal/pause"
)

// Options configure a Server.
type Options struct {
	Market *Market
	// RPS refuses more requests than this in any rolling second; 0 = no limit.
	RPS int
	// Latency delays each answer.
	Latency time.Duration
	Faults  []Fault
	// KeyRequired sends 401 to a request without X-API-KEY.
	KeyRequired bool
	Now         func() time.Time
}

// Server responds as Birdeye, GeckoTerminal and Binance would, and keeps count of what it was asked.
type Server struct {
	options Options
	mux     *http.ServeMux

	mu     sync.Mutex
	faults []*faultState
	began  time.Time
	number int64
	recent []time.Time // of the last second, oldest first
	stats  Stats
	// answered are the windows of at most maxTokens tokens.
	answered map[answeredKey][]candle.Range
}

type answeredKey struct {
	token    candle.Token
	interval candle.Interval
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
	// ByToken counts the requests about at most maxTokens tokens, and Served the candles sent for them.
	ByToken map[string]int64 `json:"by_token"`
	Served  map[string]int64 `json:"served"`
}

// maxTokens bounds what the statistics remember.
const maxTokens = 200_000

// NewServer returns a handler; it starts nothing.
func NewServer(o Options) *Server {
	s := &Server{options: o, mux: http.NewServeMux(), began: o.Now(), answered: make(map[answeredKey][]candle.Range)}
	s.stats = Stats{ByStatus: map[int]int64{}, ByToken: map[string]int64{}, Served: map[string]int64{}}
	s.SetFaults(o.Faults)
	s.mux.HandleFunc("GET /defi/v3/ohlcv", s.candles)
	s.mux.HandleFunc("GET /api/v3/ping", s.ping)
	s.mux.HandleFunc("GET /api/v3/klines", s.klines)
	s.mux.HandleFunc("GET /data/spot/{period}/klines/{symbol}/{interval}/{file}", s.dump)
	s.mux.HandleFunc("GET /api/v2/networks", s.networks)
	s.mux.HandleFunc("GET /api/v2/networks/{network}/tokens/{token}/pools", s.pools)
	s.mux.HandleFunc("GET /api/v2/networks/{network}/pools/{pool}/ohlcv/{timeframe}", s.poolCandles)
	s.mux.HandleFunc("GET /_sim/stats", s.writeStats)
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	return s
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, Path+"/") {
		http.StripPrefix(Path, s.mux).ServeHTTP(w, r)
		return
	}
	s.mux.ServeHTTP(w, r)
}

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

// Answered are the stretches of the token that the server has sent everything of, as Birdeye: neither refused nor spoilt.
func (s *Server) Answered(token candle.Token, interval candle.Interval) []candle.Range {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.answered[answeredKey{token, interval}])
}

// noteResponse notes what a response says: a full page ends with its last candle.
func (s *Server) noteResponse(q question, found []candle.Candle, f *Fault) {
	if f != nil && f.hides() {
		return
	}
	if len(found) == pageLimit {
		q.window.To = q.interval.Next(found[len(found)-1].OpenTime)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	key := answeredKey{q.token, q.interval}
	if len(s.answered) < maxTokens || s.answered[key] != nil {
		s.answered[key] = candle.Merge(append(s.answered[key], q.window))
	}
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

// dialect is how a service words what every service says.
type dialect struct {
	contentType string
	// refuse words an errorResponse.
	refuse func(errorResponse) string
	// faults are the error responses of the kinds of faults that are one; the service knows no others.
	faults map[string]errorResponse
}

// errorResponse is a response without candles. retryAfter is in seconds; 0 = says nothing of it.
type errorResponse struct {
	status     int
	code       int // of the service's own numbers, where it has them
	message    string
	retryAfter int
}

// answer sends what content makes of the market's candles for the token, unless the limit or a fault comes in between.
func (s *Server) answer(w http.ResponseWriter, r *http.Request, d dialect, token string, content func(*Fault) (body []byte, served int, refused *errorResponse)) {
	fault, limited := s.admit(token)
	if pause.For(r.Context(), s.options.Latency) != nil {
		return
	}
	if limited {
		tooFast := d.faults["429"]
		tooFast.retryAfter = 1
		s.refuse(w, d, tooFast)
		return
	}
	if fault != nil && s.misbehave(w, r, d, *fault) {
		return
	}
	body, served, refused := content(fault)
	if refused != nil {
		s.refuse(w, d, *refused)
		return
	}
	if fault != nil && (fault.Kind == "empty" || fault.Kind == "blank") {
		served = 0
	}
	s.count(http.StatusOK, token, int64(served))
	w.Header().Set("Content-Type", d.contentType)
	switch {
	case fault != nil && fault.Kind == "cut":
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		body = body[:len(body)/2]
	case fault != nil && fault.Kind == "blank":
		body = nil
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
	if token != "" && (len(s.stats.ByToken) < maxTokens || s.stats.ByToken[token] > 0) {
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

// misbehave responds for the faults that replace the response.
func (s *Server) misbehave(w http.ResponseWriter, r *http.Request, d dialect, f Fault) (answered bool) {
	if refused, ok := d.faults[f.Kind]; ok {
		if refused.status == http.StatusTooManyRequests || refused.status == http.StatusTeapot {
			refused.retryAfter = f.RetryAfter
		}
		s.refuse(w, d, refused)
		return true
	}
	switch f.Kind {
	case "521":
		s.count(521, "", 0)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(521)
		_, _ = w.Write([]byte("<!DOCTYPE html><html><title>521: Web server is down</title></html>")) // the client went away
	case "slow":
		return pause.For(r.Context(), f.Delay) != nil
	default:
		return false
	}
	return true
}

func (s *Server) refuse(w http.ResponseWriter, d dialect, r errorResponse) {
	s.count(r.status, "", 0)
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	if r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(r.retryAfter))
		w.Header().Set("X-Ratelimit-Limit", strconv.Itoa(s.options.RPS))
		w.Header().Set("X-Ratelimit-Remaining", "0")
		w.Header().Set("X-Ratelimit-Reset", strconv.FormatInt(s.options.Now().Add(time.Duration(r.retryAfter)*time.Second).Unix(), 10))
	}
	w.WriteHeader(r.status)
	_, _ = w.Write([]byte(d.refuse(r))) // the client went away
}

// spoil applies the faults that change the candles.
func spoil(candles []candle.Candle, window candle.Range, interval candle.Interval, f *Fault) []candle.Candle {
	if f == nil || len(candles) == 0 {
		return candles
	}
	switch f.Kind {
	case "empty":
		return nil
	case "duplicate":
		twin := candles[len(candles)/2]
		twin.Volume /= 2
		twin.VolumeUSD /= 2
		return slices.Insert(candles, len(candles)/2, twin)
	case "outside":
		stranger := candles[0]
		stranger.OpenTime = window.From - 10*interval.Seconds()
		return slices.Insert(candles, 0, stranger)
	case "late": // out of order, too
		stranger := candles[0]
		stranger.OpenTime = interval.Ceil(window.To) + 10*interval.Seconds()
		return slices.Insert(candles, 0, stranger)
	case "garbage": // every other candle has its high below its low
		candles = slices.Clone(candles)
		for i := 0; i < len(candles); i += 2 {
			candles[i].High = candles[i].Low / 2
		}
	}
	return candles
}

package sourcetest

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/source/breaker"
)

// password is in the base URLs of the suite.
const password = "hunter2"

// fault spoils one request.
type fault struct {
	// request is which one, from 1; 0 = none.
	request int64
	// answer replaces the service's, which true is.
	answer func(w http.ResponseWriter, r *http.Request, whole http.Handler)
	class  backfill.Class
	wait   time.Duration
}

// server counts requests and spoils one of them.
type server struct {
	service http.Handler
	price   func(*http.Request) int64
	fault   fault

	mu       sync.Mutex
	requests int64
	charged  int64
}

// start serves and opens the source there.
func (s Suite) start(t *testing.T, service http.Handler, f fault) (breaker.Source, *server) {
	t.Helper()
	handler := &server{service: service, price: s.Price, fault: f}
	listening := httptest.NewServer(handler)
	t.Cleanup(listening.Close)
	return s.Open(t, withPassword(listening.URL)), handler
}

func withPassword(url string) string {
	return strings.Replace(url, "http://", "http://user:"+password+"@", 1)
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests++
	s.charged += s.price(r)
	spoil := s.requests == s.fault.request
	s.mu.Unlock()
	if spoil {
		s.fault.answer(w, r, s.service)
		return
	}
	s.service.ServeHTTP(w, r)
}

func (s *server) counts() (requests, charged int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests, s.charged
}

type answerFunc = func(w http.ResponseWriter, r *http.Request, whole http.Handler)

// reply sends these words.
func reply(status int, contentType, body string, header ...string) answerFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", contentType)
		for i := 0; i+1 < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body)) // the client went away
	}
}

// cut sends a part of the true response; honest also promises the whole in Content-Length, so that the transport notices.
func cut(honest bool) answerFunc {
	return func(w http.ResponseWriter, r *http.Request, whole http.Handler) {
		recorder := httptest.NewRecorder()
		whole.ServeHTTP(recorder, r)
		body := recorder.Body.Bytes()
		if honest {
			w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		}
		_, _ = w.Write(body[:len(body)/2]) // the client went away
	}
}

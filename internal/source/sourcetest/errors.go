package sourcetest

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

const (
	typeJSON = "application/json"
	typeHTML = "text/html"
	html     = "<!DOCTYPE html><html><title>no</title></html>"
)

// faults are answers that any service may give.
func (s Suite) faults() map[string]fault {
	unavailable := func(answer answerFunc) fault { return fault{answer: answer, class: backfill.ClassUnavailable} }
	return map[string]fault{
		"429 with Retry-After":      {answer: reply(429, typeJSON, `{}`, "Retry-After", "7"), class: backfill.ClassRateLimited, wait: 7 * time.Second},
		"429 in HTML":               {answer: reply(429, typeHTML, html), class: backfill.ClassRateLimited},
		"500":                       unavailable(reply(500, typeJSON, `{"message":"Internal Server Error"}`)),
		"502 in HTML":               unavailable(reply(502, typeHTML, html)),
		"521 in HTML":               unavailable(reply(521, typeHTML, html)),
		"cut and noticed":           unavailable(cut(true)),
		"cut in silence":            unavailable(cut(false)),
		"empty":                     unavailable(reply(200, typeJSON, "")),
		"HTML for a success":        unavailable(reply(200, typeHTML, html)),
		"foreign object":            unavailable(reply(200, typeJSON, `{"status":"ok"}`)),
		"foreign list":              unavailable(reply(200, typeJSON, `[{"status":"ok"}]`)),
		"null":                      unavailable(reply(200, typeJSON, `null`)),
		"a word":                    unavailable(reply(200, typeJSON, `"ok"`)),
		"a token that is not known": {answer: reply(s.BadToken.Status, typeJSON, s.BadToken.Body), class: backfill.ClassPermanent},
	}
}

func (s Suite) testErrors(t *testing.T) {
	t.Parallel()
	market := s.market(stretch{0, s.Sheet.PageSize*2 + 10})
	r := candle.Range{From: s.Start, To: market[len(market)-1].OpenTime + 1}
	last := s.FewestCalls(market, r)
	require.Greater(t, last, int64(2), "the range must take several pages")
	for name, fault := range s.faults() {
		for place, request := range map[string]int64{"first": 1, "last": last} {
			t.Run(name+"/"+place, func(t *testing.T) {
				t.Parallel()
				spoiled := fault
				spoiled.request = request
				source, server := s.start(t, s.Serve(t, market, None), spoiled)
				f := s.fetch(t.Context(), t, source, r)
				require.Error(t, f.err)
				require.Equal(t, fault.class, backfill.ClassOf(f.err), f.err)
				require.Equal(t, fault.wait, backfill.RetryAfter(f.err), f.err)
				s.requireNoSecret(t, f.err)
				requests, charged := server.counts()
				require.Equal(t, request, requests, "an error must end the sequence: %v", f.err)
				require.Equal(t, requests, f.calls)
				require.Equal(t, charged, f.credits)
				require.Less(t, len(f.candles), len(market))
			})
		}
	}
}

// spoil changes the true answer.
func spoil(change func([]byte) []byte) answerFunc {
	return func(w http.ResponseWriter, r *http.Request, whole http.Handler) {
		recorder := httptest.NewRecorder()
		whole.ServeHTTP(recorder, r)
		_, _ = w.Write(change(recorder.Body.Bytes())) // the client went away
	}
}

// Of the requests for a range of several pages the second is one for candles, whatever a source asks first.
func (s Suite) pages(t *testing.T) (market []candle.Candle, r candle.Range) {
	t.Helper()
	market = s.market(stretch{0, s.Sheet.PageSize*2 + 10})
	return market, candle.Range{From: s.Start, To: market[len(market)-1].OpenTime + 1}
}

// An answer that is not about the question proves nothing about it, and is not the chunk's fault (R8).
func (s Suite) testForeign(t *testing.T) {
	t.Parallel()
	require.Contains(t, s.Foreign, "another time")
	require.Contains(t, s.Foreign, "a repeated name")
	market, r := s.pages(t)
	for name, change := range s.Foreign {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, server := s.start(t, s.Serve(t, market, None), fault{request: 2, answer: spoil(func(body []byte) []byte {
				changed := change(bytes.Clone(body))
				if bytes.Equal(changed, body) {
					t.Error("nothing was changed")
				}
				return changed
			})})
			f := s.fetch(t.Context(), t, source, r)
			require.Error(t, f.err)
			require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err), f.err)
			require.Less(t, len(f.candles), len(market))
			requests, _ := server.counts()
			require.EqualValues(t, 2, requests)
		})
	}
}

// One candle that cannot be read is that candle's fault alone, and it is named.
func (s Suite) testOdd(t *testing.T) {
	t.Parallel()
	market, r := s.pages(t)
	const item = 3
	change := func(body []byte) []byte { return s.Odd(bytes.Clone(body), item) }
	source, _ := s.start(t, s.Serve(t, market, None), fault{request: 2, answer: spoil(change)})
	f := s.fetch(t.Context(), t, source, r)
	require.NoError(t, f.err)
	require.Len(t, f.candles, len(market), "the odd one counts as fetched")
	require.Len(t, f.odd, 1)
	require.Regexp(t, `^item 3 of the answer: .+ is null$`, f.odd[0].Text)
	for _, c := range f.candles {
		rule := candle.Check(c, s.Interval, candle.Lenient, r.To+1)
		require.Equal(t, c.OpenTime == f.odd[0].OpenTime, rule == candle.RuleNotFinite, c)
	}
}

// A service that repeats the key does not get it into a row or a log, however it writes it.
func (s Suite) testEcho(t *testing.T) {
	t.Parallel()
	for _, secret := range s.Secrets {
		quoted := url.QueryEscape(secret)
		echo := `{"success":false,"code":-1,"msg":"Invalid API key ` + secret + `","message":"Invalid API key ` + secret + `","error":"` + quoted + `"}`
		for name, answer := range map[string]answerFunc{
			"refused":       reply(http.StatusUnauthorized, typeJSON, echo),
			"bad":           reply(http.StatusBadRequest, typeJSON, echo),
			"down":          reply(http.StatusServiceUnavailable, typeJSON, echo),
			"in a success":  reply(http.StatusOK, typeJSON, echo),
			"redirected":    reply(http.StatusFound, typeJSON, echo, "Location", "https://"+secret+".example.org/"),
			"a bad header":  hijacked("HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n"),
			"a bad version": hijacked("Invalid API key " + secret + "\r\n\r\n"),
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				source, _ := s.start(t, s.Serve(t, s.market(stretch{0, 10}), None), fault{request: 1, answer: answer})
				f := s.fetch(t.Context(), t, source, candle.Range{From: s.Start, To: s.at(10)})
				require.Error(t, f.err)
				s.requireNoSecret(t, f.err)
			})
		}
	}
}

// hijacked sends what is no HTTP.
func hijacked(words string) answerFunc {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		connection, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		_, _ = connection.Write([]byte(words)) // the client went away
		_ = connection.Close()
	}
}

// A service that sends without end costs no more than what was asked for could take.
func (s Suite) testFlood(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]string{"no length": "", "a small one": "100"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			flood := func(w http.ResponseWriter, r *http.Request, whole http.Handler) {
				recorder := httptest.NewRecorder()
				whole.ServeHTTP(recorder, r)
				w.Header().Set("Content-Length", header)
				for r.Context().Err() == nil {
					if _, err := w.Write(recorder.Body.Bytes()); err != nil {
						return
					}
				}
			}
			source, server := s.start(t, s.Serve(t, s.market(stretch{0, 10}), None), fault{request: 1, answer: flood})
			f := s.fetch(t.Context(), t, source, candle.Range{From: s.Start, To: s.at(10)})
			require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err), f.err)
			requests, _ := server.counts()
			require.EqualValues(t, 1, requests)
		})
	}
}

// The key goes to no other host, and what another host returns does not count.
func (s Suite) testRedirect(t *testing.T) {
	t.Parallel()
	strangers := make(chan string, 100)
	market := s.market(stretch{0, 10})
	whole := s.Serve(t, market, None)
	stranger := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		strangers <- r.URL.String()
		whole.ServeHTTP(w, r)
	}))
	t.Cleanup(stranger.Close)
	host := strings.TrimPrefix(stranger.URL, "http://")
	for _, status := range []int{301, 302, 303, 307, 308} {
		for name, target := range map[string]string{"elsewhere": stranger.URL, "the same host": ""} {
			t.Run(name, func(t *testing.T) {
				redirect := func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
					w.Header().Set("Location", target+"/moved?distinctive-query="+r.URL.Path)
					w.WriteHeader(status)
				}
				source, server := s.start(t, whole, fault{request: 1, answer: redirect})
				f := s.fetch(t.Context(), t, source, candle.Range{From: s.Start, To: s.at(10)})
				require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err), f.err)
				require.ErrorContains(t, f.err, "redirects to")
				if target != "" {
					require.ErrorContains(t, f.err, "redirects to "+host)
				}
				require.NotContains(t, f.err.Error(), "distinctive-query")
				s.requireNoSecret(t, f.err)
				requests, _ := server.counts()
				require.EqualValues(t, 1, requests)
				require.Empty(t, f.candles)
			})
		}
	}
	require.Empty(t, strangers, "a redirect was followed")
}

func (s Suite) testNoConnection(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	source := s.Open(t, withPassword(gone.URL))
	f := s.fetch(t.Context(), t, source, candle.Range{From: s.Start, To: s.at(10)})
	require.Error(t, f.err)
	require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(f.err), f.err)
	s.requireNoSecret(t, f.err)
	require.EqualValues(t, 1, f.pages)
}

// The service is not to blame for what a stopping worker did not wait for.
func (s Suite) testInterruption(t *testing.T) {
	t.Parallel()
	r := candle.Range{From: s.Start, To: s.at(10)}
	t.Run("under way", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		hang := func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
			cancel()
			<-r.Context().Done()
		}
		source, server := s.start(t, s.Serve(t, s.market(stretch{0, 10}), None), fault{request: 1, answer: hang})
		f := s.fetch(ctx, t, source, r)
		require.ErrorIs(t, f.err, context.Canceled)
		require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(f.err))
		requests, _ := server.counts()
		require.EqualValues(t, 1, requests)
		require.EqualValues(t, 1, f.calls)
	})
	t.Run("before the first request", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		source, server := s.start(t, s.Serve(t, s.market(stretch{0, 10}), None), fault{})
		f := s.fetch(ctx, t, source, r)
		require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(f.err))
		requests, _ := server.counts()
		require.Zero(t, requests)
		require.Zero(t, f.calls)
		require.Zero(t, f.credits)
	})
}

// A reader that has enough costs no further request.
func (s Suite) testStop(t *testing.T) {
	t.Parallel()
	market := s.market(stretch{0, s.Sheet.PageSize * 3})
	source, server := s.start(t, s.Serve(t, market, None), fault{})
	var calls int64
	for page, err := range source.Candles(t.Context(), s.Token, s.Interval, candle.Range{From: s.Start, To: s.at(len(market))}) {
		require.NoError(t, err)
		require.NotEmpty(t, page.Candles)
		calls = page.APICalls
		break
	}
	requests, _ := server.counts()
	require.Equal(t, calls, requests)
}

func (s Suite) testProbe(t *testing.T) {
	t.Parallel()
	source, server := s.start(t, s.Serve(t, nil, None), fault{})
	require.NoError(t, source.Probe(t.Context()), "a service that works without a candle")
	requests, _ := server.counts()
	require.EqualValues(t, 1, requests)
	for name, fault := range map[string]fault{
		"down":     {request: 1, answer: reply(503, typeHTML, html), class: backfill.ClassUnavailable},
		"too fast": {request: 1, answer: reply(429, typeJSON, `{}`), class: backfill.ClassRateLimited},
	} {
		source, _ := s.start(t, s.Serve(t, nil, None), fault)
		err := source.Probe(t.Context())
		require.Equal(t, fault.class, backfill.ClassOf(err), name)
		s.requireNoSecret(t, err)
	}
}

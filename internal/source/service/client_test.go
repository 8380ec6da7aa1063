package service

import (
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// endless is a body without end, which counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func (e *endless) Close() error { return nil }

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func client(failure func(int, http.Header, []byte, time.Duration) Failure, answer transport) *Client {
	c := NewClient(Config{
		Name: "test", Accounts: []Account{{Budget: NewLocal(1_000, time.Now)}}, Failure: failure,
		Logger: slog.New(slog.DiscardHandler), Now: time.Now,
	})
	c.http.Transport = answer
	return c
}

// What is read of an answer is bounded by what was asked for, whatever its length is said to be.
func TestAnEndlessAnswerIsReadNoFurtherThanWhatWasAskedFor(t *testing.T) {
	t.Parallel()
	for _, length := range []int64{-1, 10, 1 << 40} {
		for _, status := range []int{200, 302, 404, 500} {
			body := &endless{}
			longest := 0
			c := client(func(_ int, _ http.Header, body []byte, _ time.Duration) Failure {
				longest = len(body)
				return Failure{Class: backfill.ClassUnavailable}
			}, func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: status, Body: body, ContentLength: length, Header: http.Header{}, Request: r}, nil
			})
			_, calls, err := c.Get(t.Context(), Request{Address: "http://x", Weight: 1, MaxBody: MaxBody(100, 1_024)})
			require.Equal(t, backfill.ClassUnavailable, backfill.ClassOf(err), err)
			require.EqualValues(t, 1, calls)
			require.LessOrEqual(t, body.read, MaxBody(100, 1_024)+1, "status %d, length %d", status, length)
			require.LessOrEqual(t, longest, smallBody)
		}
	}
}

// Whatever is in between may say 404 or 401, and knows nothing about the chunk or the key.
func TestWhatIsNotTheServicesOwnDoesNotEndAChunk(t *testing.T) {
	t.Parallel()
	for _, class := range []backfill.Class{backfill.ClassPermanent, backfill.ClassKeyRejected, backfill.ClassRateLimited} {
		for _, foreign := range []bool{true, false} {
			c := client(func(int, http.Header, []byte, time.Duration) Failure { return Failure{Class: class, Foreign: foreign} },
				func(r *http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusBadRequest, Body: io.NopCloser(strings.NewReader("<html>")), Header: http.Header{}, Request: r}, nil
				})
			_, _, err := c.Get(t.Context(), Request{Address: "http://x", Weight: 1})
			want := class
			if foreign && class != backfill.ClassRateLimited {
				want = backfill.ClassUnavailable
			}
			require.Equal(t, want, backfill.ClassOf(err))
		}
	}
}

package tracing

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A collector that does not answer is complained about once a minute, without the error: it names the URL.
func TestComplaintsAreRareAndNameNoURL(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Unix(1_700_000_000, 0)
	c := &complaints{logger: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	for range 3 {
		c.Handle(errors.New(`Post "https://c/?token=hunter2": refused`))
	}
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	now = now.Add(time.Minute)
	c.Handle(errors.New("refused"))
	require.Equal(t, 2, strings.Count(log.String(), "\n"))
	require.NotContains(t, log.String(), "hunter2")
}

// The collector may be away: a process starts, works and stops all the same.
func TestACollectorThatIsAwayCostsNothing(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "100")
	stop, err := Start(t.Context(), "test", "v", slog.New(slog.NewTextHandler(t.Output(), nil)), time.Now)
	require.NoError(t, err)
	ctx, end := Span(t.Context(), "launch", 0)
	require.True(t, On(ctx))
	require.Contains(t, Headers(ctx), "traceparent")
	require.True(t, On(ctx))
	end(nil)
	began := time.Now()
	stop()
	require.Less(t, time.Since(began), 2*flushLimit)
}

// The collector's token goes to the collector alone, and a redirect is named.
func TestACollectorThatRedirectsIsNotFollowed(t *testing.T) {
	for _, status := range []int{http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect} {
		var elsewhere, asked atomic.Int64
		other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
		collector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			http.Redirect(w, r, other.URL+r.URL.Path, status)
		}))
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=distinctive-key")
		var log bytes.Buffer
		stop, err := Start(t.Context(), "test", "v", slog.New(slog.NewTextHandler(&log, nil)), time.Now)
		require.NoError(t, err)
		_, end := Span(t.Context(), "launch", 0)
		end(nil)
		stop()
		collector.Close()
		other.Close()
		require.EqualValues(t, 1, asked.Load())
		require.Zero(t, elsewhere.Load(), status)
		require.Contains(t, log.String(), "the collector redirects, and redirects are not followed", status)
		require.NotContains(t, log.String(), "distinctive-key")
	}
}

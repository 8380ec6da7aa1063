package metrics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// scrapeLimit bounds a scrape, and maxScrapes how many run at once.
const (
	scrapeLimit = 15 * time.Second
	maxScrapes  = 3
)

// Handler shows the metrics of a registry. One that cannot be read does not keep the others from being shown.
func Handler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: maxScrapes, Timeout: scrapeLimit,
	})
}

// Check returns an error where a store does not respond.
type Check struct {
	Name string
	Ping func(context.Context) error
}

// Alive responds with 200: the process is there and serves.
func Alive() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
}

// readyLimit bounds the questions of Ready.
const readyLimit = 2 * time.Second

// Ready responds with 200 when all stores do, and with 503 otherwise. It says which one does not, but not why: errors name
// addresses.
func Ready(checks ...Check) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyLimit)
		defer cancel()
		answers := make([]string, len(checks))
		var asking sync.WaitGroup
		for i, check := range checks {
			asking.Go(func() {
				answers[i] = "ok"
				if err := check.Ping(ctx); err != nil {
					answers[i] = "does not answer"
				}
			})
		}
		asking.Wait()
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		if slices.Contains(answers, "does not answer") {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
		for i, check := range checks {
			fmt.Fprintf(w, "%s: %s\n", check.Name, answers[i])
		}
	})
}

// Mux is what a worker serves: /metrics, /healthz and /readyz.
func Mux(registry *prometheus.Registry, checks ...Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", Handler(registry))
	mux.Handle("GET /healthz", Alive())
	mux.Handle("GET /readyz", Ready(checks...))
	return mux
}

// Serve serves requests until ctx ends, and closes the listener.
func Serve(ctx context.Context, listener net.Listener, handler http.Handler, logger *slog.Logger) error {
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: scrapeLimit + 5*time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() }) // the error is Serve's
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

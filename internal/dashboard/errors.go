package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

// httpError is an error that visitors may read.
type httpError struct {
	status  int
	message string
}

func (e *httpError) Error() string { return e.message }

func notFound(format string, args ...any) error {
	return &httpError{http.StatusNotFound, fmt.Sprintf(format, args...)}
}

func badRequest(format string, args ...any) error {
	return &httpError{http.StatusBadRequest, fmt.Sprintf(format, args...)}
}

// forVisitors is the status and the sentence that visitors get; known is false when the log must have the details.
func forVisitors(err error) (status int, message string, known bool) {
	var shown *httpError
	var ambiguous *report.AmbiguousRunError
	switch {
	case errors.As(err, &shown):
		return shown.status, shown.message, true
	case errors.As(err, &ambiguous):
		return http.StatusBadRequest, "That is the beginning of several run ids: " + ambiguous.Error(), true
	case errors.Is(err, backfill.ErrUnknownRun):
		return http.StatusNotFound, "There is no such run.", true
	case errors.Is(err, context.DeadlineExceeded), backfill.ClassOf(err) == backfill.ClassStore:
		return http.StatusServiceUnavailable, "ClickHouse or Redis does not answer. Try again in a moment; the log says more.", false
	}
	return http.StatusInternalServerError, "Something went wrong here; the log says what.", false
}

// errorData is what the error page shows and what the API returns.
type errorData struct {
	Status  int    `json:"status"`
	Heading string `json:"-"`
	Message string `json:"error"`
}

// fail responds with an error. What visitors must not see is logged.
func (d *Dashboard) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return // the visitor has left
	}
	status, message, known := forVisitors(err)
	if status == http.StatusServiceUnavailable && !known {
		if outages := d.outagesBehind(r.Context(), err); len(outages) > 0 {
			message = away(outages).Error()
		}
	}
	if !known {
		d.cfg.Logger.ErrorContext(r.Context(), "request failed", "path", r.URL.Path, "err", err)
	}
	d.showError(w, r, status, message)
}

func (d *Dashboard) showError(w http.ResponseWriter, r *http.Request, status int, message string) {
	data := errorData{Status: status, Heading: http.StatusText(status), Message: message}
	if wantsJSON(r) {
		d.writeJSON(w, r, status, data)
		return
	}
	d.render(w, r, status, "error.html", view{Title: data.Heading, Data: data})
}

// unrouted serves what no route matches: an unknown path, or a method that the path does not know.
func (d *Dashboard) unrouted(w http.ResponseWriter, r *http.Request, router http.Handler) {
	asked := statusRecorder{header: make(http.Header)}
	router.ServeHTTP(&asked, r)
	switch asked.status {
	case http.StatusMethodNotAllowed:
		allowed := asked.header.Get("Allow")
		w.Header().Set("Allow", allowed)
		d.showError(w, r, asked.status, fmt.Sprintf("This address does not take %s, only %s.", r.Method, strings.ReplaceAll(allowed, ", HEAD", "")))
	case http.StatusNotFound:
		d.showError(w, r, asked.status, "There is no such page.")
	default: // a redirect to the clean path
		router.ServeHTTP(w, r)
	}
}

// statusRecorder keeps the status and drops the rest.
type statusRecorder struct {
	header http.Header
	status int
}

func (s *statusRecorder) Header() http.Header         { return s.header }
func (s *statusRecorder) WriteHeader(status int)      { s.status = status }
func (s *statusRecorder) Write(b []byte) (int, error) { return len(b), nil }

package dashboard

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"

	"quantbot/internal/clickhouse"
)

// queuesPath is where the queue monitor answers.
const queuesPath = "/queues"

// maxQueuesBody is enough for a batch of a thousand task ids.
const maxQueuesBody = 256 << 10

// inlineScript finds the scripts that the monitor's page carries inside itself.
var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// queuesPolicy is looser than the other pages', and only here: the monitor's page carries small scripts inside itself,
// which are named one by one by their digest; its library writes styles into the page while it runs, and it loads its
// fonts as data. Everything still comes from this server.
func queuesPolicy(monitor http.Handler) string {
	page := httptest.NewRecorder()
	request, _ := http.NewRequestWithContext(context.Background(), http.MethodGet, queuesPath+"/", http.NoBody) // constant parts
	monitor.ServeHTTP(page, request)
	scripts := "'self'"
	for _, found := range inlineScript.FindAllStringSubmatch(page.Body.String(), -1) {
		digest := sha256.Sum256([]byte(found[1]))
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
	}
	return "default-src 'none'; script-src " + scripts + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
		"connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// mountQueues puts asynq's own monitor at /queues: for looking, and for those who know the token for changing too.
func (d *Dashboard) mountQueues(mux *http.ServeMux) {
	reading, writing := d.cfg.Queues(false), d.cfg.Queues(true)
	readPolicy, writePolicy := queuesPolicy(reading), queuesPolicy(writing)
	look := d.access(false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, policy := reading, readPolicy
		if d.visitor(r).trusted {
			handler, policy = writing, writePolicy
		}
		w.Header().Set("Content-Security-Policy", policy)
		handler.ServeHTTP(w, r)
	}))
	change := d.access(true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.changeQueues(w, r, writing)
	}))
	mux.Handle("GET "+queuesPath, http.RedirectHandler(queuesPath+"/", http.StatusSeeOther))
	mux.Handle("GET "+queuesPath+"/", look)
	mux.Handle("POST "+queuesPath+"/api/", change)
	mux.Handle("DELETE "+queuesPath+"/api/", change)
}

// changeQueues lets the monitor change tasks and writes down who did.
func (d *Dashboard) changeQueues(w http.ResponseWriter, r *http.Request, monitor http.Handler) {
	r.Body = http.MaxBytesReader(w, r.Body, maxQueuesBody)
	what := r.Method + " " + strings.TrimPrefix(r.URL.Path, queuesPath+"/api")
	_ = d.recorded(r.Context(), r, clickhouse.OperatorAction{Action: "queues"}, func(context.Context, string) (string, error) {
		answered := &statusKeeper{ResponseWriter: w, status: http.StatusOK}
		monitor.ServeHTTP(answered, r)
		if answered.status >= http.StatusBadRequest {
			return what, errors.New(what + " answered " + http.StatusText(answered.status))
		}
		return what, nil
	}) // the monitor has answered
}

// statusKeeper remembers the status that passes through it.
type statusKeeper struct {
	http.ResponseWriter
	status int
}

func (s *statusKeeper) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}

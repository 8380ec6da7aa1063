package dashboard

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"math"
	"net/http"
	"path"
	"regexp"
	"strings"

	"quantbot/internal/backfill"
)

// queuesPath is where the queue monitor answers.
const queuesPath = "/queues"

// inlineScript finds the scripts that the monitor's page carries inside itself, outsideStyle the fonts that it would load
// from elsewhere.
var (
	inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)
	outsideStyle = regexp.MustCompile(`<link rel="stylesheet" href="https://[^"]*"/?>`)
)

// response keeps what a handler writes, so that it can be looked at before it is sent.
type response struct {
	header http.Header
	status int
	begun  bool // the status is decided
	body   bytes.Buffer
}

func newResponse() *response { return &response{header: make(http.Header), status: http.StatusOK} }

func (r *response) Header() http.Header { return r.header }

// WriteHeader implements http.ResponseWriter: the first status counts, as it does for a client.
func (r *response) WriteHeader(status int) {
	if !r.begun {
		r.status, r.begun = status, true
	}
}

func (r *response) Write(content []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(content)
}

// queueFiles serves the monitor's page and what it loads, so that it is safe and whole under our rules: nothing from
// elsewhere, types that browsers need not guess, and a policy that is looser than the other pages' only in this: the
// page's inline scripts are named one by one by their digest, and its library writes styles into the page while it runs.
func queueFiles(monitor http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		file := newResponse()
		monitor.ServeHTTP(file, r)
		body, kind := file.body.Bytes(), file.header.Get("Content-Type")
		if known, ok := contentTypes[path.Ext(r.URL.Path)]; ok {
			kind = known
		}
		if bytes.HasPrefix(body, []byte("<!doctype html>")) {
			body, kind = outsideStyle.ReplaceAll(body, nil), "text/html; charset=utf-8"
			body = bytes.Replace(body, []byte("</body>"), []byte(wayBack+"</body>"), 1)
			w.Header().Set("Content-Security-Policy", queuesPolicy(body))
		}
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(file.status)
		_, _ = w.Write(body) // a visitor who has left is nobody's trouble
	})
}

// wayBack is a link from the monitor to our pages, in the free corner of its header.
const wayBack = `<a href="/fleet" style="position:fixed;top:1.2rem;right:1.2rem;z-index:2000;font:500 .95rem system-ui,sans-serif;color:#4379ff">quantbot</a>`

func queuesPolicy(page []byte) string {
	scripts := "'self'"
	for _, found := range inlineScript.FindAllSubmatch(page, -1) {
		digest := sha256.Sum256(found[1])
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(digest[:]) + "'"
	}
	return "default-src 'none'; script-src " + scripts + "; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; " +
		"connect-src 'self'; manifest-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
}

// mountQueues puts asynq's own monitor at /queues: for looking, and for those who know the token for changing too.
func (d *Dashboard) mountQueues(mux *http.ServeMux) {
	reading, writing := d.cfg.Queues(false), d.cfg.Queues(true)
	choose := func(reading, writing http.Handler) http.Handler {
		return d.access(false, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if d.visitor(r).trusted {
				writing.ServeHTTP(w, r)
				return
			}
			reading.ServeHTTP(w, r)
		}))
	}
	change := d.access(true, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.changeQueues(w, r, d.queueAnswers(writing))
	}))
	mux.Handle("GET "+queuesPath, http.RedirectHandler(queuesPath+"/", http.StatusSeeOther))
	mux.Handle("GET "+queuesPath+"/", choose(queueFiles(reading), queueFiles(writing)))
	mux.Handle("GET "+queuesPath+"/api/", choose(d.queueAnswers(reading), d.queueAnswers(writing)))
	mux.Handle("POST "+queuesPath+"/api/", change)
	mux.Handle("DELETE "+queuesPath+"/api/", change)
}

// mostTasks is how many tasks a page of the monitor may have; its own pages ask for up to 100.
const mostTasks = 500

// queueAnswers serves what the monitor's page asks for. By itself the monitor answers 500 for a queue that is not there,
// its page for an address that it does not know, and as many tasks as it is asked for.
func (d *Dashboard) queueAnswers(monitor http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := readQuery(r, d.cfg.Now)
		q.number("size", 1, mostTasks)
		q.number("page", 1, math.MaxInt32)
		if err := q.err(); err != nil {
			d.fail(w, r, err)
			return
		}
		got, err := attend(d, r, func(r *http.Request) (*response, error) {
			response := newResponse()
			monitor.ServeHTTP(response, r)
			return response, nil
		})
		if err != nil {
			d.fail(w, r, err)
			return
		}
		body := got.body.Bytes()
		switch {
		case bytes.HasPrefix(body, []byte("<!doctype html>")):
			d.fail(w, r, notFound("There is no such page."))
		case got.status == http.StatusInternalServerError && isUnknown(body):
			d.fail(w, r, notFound("There is no such queue or task."))
		default:
			if got.status == http.StatusOK {
				w.Header().Set("Content-Type", "application/json")
			}
			d.send(w, r, got.status, string(body))
		}
	})
}

// isUnknown reports whether asynq says that a queue or a task is not there.
func isUnknown(says []byte) bool {
	return bytes.Contains(says, []byte("NOT_FOUND")) || bytes.HasPrefix(says, []byte("asynq: queue not found"))
}

// changeQueues lets the monitor change tasks and writes down who did.
func (d *Dashboard) changeQueues(w http.ResponseWriter, r *http.Request, monitor http.Handler) {
	what := r.Method + " " + strings.TrimPrefix(r.URL.Path, queuesPath+"/api")
	_ = d.recorded(r.Context(), r, backfill.OperatorAction{Action: "queues", Detail: what}, func(context.Context, string) (string, error) {
		answered := &statusKeeper{ResponseWriter: w, status: http.StatusOK}
		monitor.ServeHTTP(answered, r)
		if answered.status >= http.StatusBadRequest {
			return what, &httpError{answered.status, what + ": " + http.StatusText(answered.status)}
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

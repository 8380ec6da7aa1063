package dashboard

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// page is one page and the JSON beside it.
type page struct {
	// path is the page's pattern without a method, such as "/runs/{id}".
	path string
	// api is where the same data is served as JSON; empty = "/api" + path.
	api string
	// template is a file in templates/ that defines "content".
	template string
	// section is the item of the navigation that is marked.
	section string
	// guarded pages are for those who have logged in, also where others may read the rest.
	guarded bool
	// slow pages may take as long as a preview takes.
	slow bool
	// load reads what the page shows.
	load func(r *http.Request) (content, error)
}

// content is what a page shows. Data is .Data in the template and the body of the API's answer.
type content struct {
	Title string
	Data  any
}

// pages lists every page.
func (d *Dashboard) pages() []page {
	return []page{
		d.runsPage(),
		d.runPage(),
		d.actionPage(actionRollback),
		d.actionPage(actionRestore),
		d.actionPage(actionRetry),
		d.actionPage(actionCancel),
		d.fleetPage(),
		d.sweepPage(),
		d.coveragePage(),
		d.tokenPage(),
		d.qualityPage(),
	}
}

// checkPages returns an error that names what a listed page lacks: a page that is only found to be broken when somebody opens it
// would be found too late.
func (d *Dashboard) checkPages() error {
	for _, p := range d.pages() {
		if d.templates[p.template] == nil {
			return fmt.Errorf("page %s: there is no template %q", p.path, p.template)
		}
		if !slices.ContainsFunc(sections, func(s section) bool { return s.Name == p.section }) {
			return fmt.Errorf("page %s: section %q is not in the navigation", p.path, p.section)
		}
	}
	return nil
}

// sections is the navigation. An item is shown when its page is listed.
var sections = []section{
	{"Runs", "/"},
	{"Coverage", "/coverage"},
	{"Quality", "/quality"},
	{"Fleet", "/fleet"},
	{"Queues", "/queues"},
}

type section struct{ Name, Path string }

// metricsPath is where Prometheus asks.
const metricsPath = "/metrics"

// pattern is the page's pattern for the mux.
func (p page) pattern() string {
	if p.path == "/" {
		return "GET /{$}"
	}
	return "GET " + p.path
}

func (p page) apiPattern() string {
	if p.api != "" {
		return "GET " + p.api
	}
	return "GET /api" + p.path
}

// routes makes the mux.
func (d *Dashboard) routes() *http.ServeMux {
	mux := http.NewServeMux()
	shown := map[string]bool{"/queues": d.cfg.Queues != nil}
	for _, p := range d.pages() {
		shown[p.path] = true
		mux.Handle(p.pattern(), d.access(p.guarded, d.servePage(p)))
		mux.Handle(p.apiPattern(), d.access(p.guarded, d.serveAPI(p)))
	}
	for _, action := range actionNames {
		mux.Handle("POST /runs/{id}/"+action, d.access(true, d.act(action)))
	}
	mux.Handle("POST /sweep", d.access(true, http.HandlerFunc(d.startSweep)))
	mux.Handle("GET /api/runs/{id}/events", d.access(false, http.HandlerFunc(d.streamProgress)))
	if d.cfg.Queues != nil {
		d.mountQueues(mux)
	}
	mux.Handle("GET /assets/{name}", http.HandlerFunc(d.serveAsset))
	mux.Handle("GET /login", http.HandlerFunc(d.showLogin))
	mux.Handle("POST /login", http.HandlerFunc(d.logIn))
	mux.Handle("POST /logout", http.HandlerFunc(d.logOut))
	mux.Handle("GET /healthz", http.HandlerFunc(healthy))
	mux.Handle("GET /readyz", http.HandlerFunc(d.ready))
	if d.cfg.Metrics != nil {
		mux.Handle("GET "+metricsPath, d.access(false, d.cfg.Metrics))
	}
	for _, s := range sections {
		if shown[s.Path] {
			d.sections = append(d.sections, s)
		}
	}
	return mux
}

// servePage renders the page.
func (d *Dashboard) servePage(p page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.slow {
			extendDeadlines(w, d.cfg.Now().Add(previewTimeout+writeTimeout))
		}
		shown, err := attend(d, r, p.load)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		d.render(w, r, http.StatusOK, p.template, view{Title: shown.Title, Section: p.section, Data: shown.Data})
	})
}

// serveAPI responds with the page's data as JSON.
func (d *Dashboard) serveAPI(p page) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p.slow {
			extendDeadlines(w, d.cfg.Now().Add(previewTimeout+writeTimeout))
		}
		shown, err := attend(d, r, p.load)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		d.writeJSON(w, r, http.StatusOK, shown.Data)
	})
}

// wantsJSON reports who gets errors as JSON.
func wantsJSON(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, "/api/") || strings.HasPrefix(r.URL.Path, queuesPath+"/api/") || strings.HasPrefix(r.Header.Get("Accept"), "application/json")
}

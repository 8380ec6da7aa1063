package dashboard

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"

	"quantbot/internal/candle"
	"quantbot/internal/publicjson"
)

//go:embed templates/*.html
var templateFiles embed.FS

// view is what templates see.
type view struct {
	Title   string
	Section string
	Data    any

	// The rest is filled in by render.

	Sections []section
	// User is who has logged in; empty = nobody.
	User string
	// CanAct says that the visitor may act on runs; CanLogIn that a token would let them.
	CanAct, CanLogIn bool
	// Here is the page's path and query, to come back to after logging in.
	Here string
}

// layoutFile is the frame of every page; files whose names begin with "part_" are shared by pages.
const layoutFile = "layout.html"

// parseTemplates joins each page with the layout, once.
func parseTemplates() (map[string]*template.Template, error) {
	base, err := template.New(layoutFile).Funcs(templateFunctions).ParseFS(templateFiles, "templates/"+layoutFile, "templates/part_*.html")
	if err != nil {
		return nil, err
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	pages := make(map[string]*template.Template)
	for _, file := range files {
		joined, err := base.Clone()
		if err == nil {
			_, err = joined.ParseFS(templateFiles, file)
		}
		if err != nil {
			return nil, fmt.Errorf("parse %s: %w", file, err)
		}
		pages[path.Base(file)] = joined
	}
	return pages, nil
}

// render writes a page. It is rendered before the status is sent, so that a mistake in it is an error page and not half
// a page.
func (d *Dashboard) render(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	visitor := d.visitor(r)
	v.Sections, v.User, v.CanAct, v.CanLogIn = d.sections, visitor.name, visitor.trusted, d.sessions.enabled()
	v.Here = r.URL.RequestURI()
	var page bytes.Buffer
	tmpl, ok := d.templates[name]
	if !ok {
		panic("no template " + name)
	}
	if err := tmpl.ExecuteTemplate(&page, layoutFile, v); err != nil {
		d.cfg.Logger.ErrorContext(r.Context(), "page not rendered", "template", name, "err", err)
		http.Error(w, "This page could not be rendered; the log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	d.send(w, r, status, candle.Printable(page.String()))
}

func (d *Dashboard) writeJSON(w http.ResponseWriter, r *http.Request, status int, data any) {
	body, err := publicjson.MarshalPage(data)
	if err != nil {
		d.cfg.Logger.ErrorContext(r.Context(), "answer not encoded", "path", r.URL.Path, "err", err)
		http.Error(w, `{"error":"this answer could not be encoded; the log says why"}`, http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	d.send(w, r, status, candle.Printable(string(body))+"\n")
}

// send writes the whole answer. A visitor who has left is nobody's trouble.
func (d *Dashboard) send(w http.ResponseWriter, r *http.Request, status int, body string) {
	w.WriteHeader(status)
	if _, err := io.WriteString(w, body); err != nil {
		d.cfg.Logger.DebugContext(r.Context(), "answer not delivered", "path", r.URL.Path, "err", err)
	}
}

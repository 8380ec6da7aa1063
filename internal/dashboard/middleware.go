package dashboard

import (
	"net"
	"net/http"
	"runtime/debug"
	"strings"
)

// contentPolicy lets a page load what this server gives, and nothing inline.
const contentPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// protect wraps the routes with what holds for every request.
func (d *Dashboard) protect(mux *http.ServeMux) http.Handler {
	sameOrigin := http.NewCrossOriginProtection()
	sameOrigin.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.showError(w, r, http.StatusForbidden, "This request came from another site and was not carried out.")
	}))
	routed := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handler, pattern := mux.Handler(r)
		if pattern == "" {
			d.unrouted(w, r, handler)
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		mux.ServeHTTP(w, r)
	})
	return d.secureHeaders(d.recovered(d.localHost(sameOrigin.Handler(routed))))
}

func (d *Dashboard) secureHeaders(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", contentPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=()")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recovered turns a panic into an error page; where it happened is for the log.
func (d *Dashboard) recovered(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch cause := recover(); cause {
			case nil:
			case http.ErrAbortHandler:
				panic(cause)
			default:
				d.cfg.Logger.ErrorContext(r.Context(), "request panicked", "path", r.URL.Path, "err", cause, "stack", string(debug.Stack()))
				d.showError(w, r, http.StatusInternalServerError, "Something went wrong here; the log says what.")
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// localHost keeps other sites from reaching a dashboard on loopback through a name of theirs that leads here (DNS
// rebinding). Beyond loopback the names are not known, and every page wants a login.
func (d *Dashboard) localHost(next http.Handler) http.Handler {
	if d.cfg.Public {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !isLocalName(r.Host) {
			d.showError(w, r, http.StatusMisdirectedRequest, "This dashboard answers to localhost and loopback addresses only.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || (ip != nil && ip.IsLoopback())
}

// IsLoopback reports whether only this machine can reach a server at the address, host:port. An empty host is every address.
func IsLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	return err == nil && host != "" && isLocalName(host)
}

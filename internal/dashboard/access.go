package dashboard

import (
	"context"
	"net/http"
	"net/url"
)

// access lets in whoever may see the page: everybody on loopback unless it is guarded or all is private, and those who know the token.
func (d *Dashboard) access(guarded bool, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		who := d.visitor(r)
		r = r.WithContext(context.WithValue(r.Context(), visitorKey{}, who))
		switch {
		case who.trusted || (!guarded && !d.cfg.Public && !d.cfg.Private):
			next.ServeHTTP(w, r)
		case !d.sessions.enabled():
			d.showError(w, r, http.StatusForbidden, "Nobody can act here: the dashboard was started without QUANTBOT_DASHBOARD_TOKEN.")
		case who.unheard:
			w.Header().Set("Retry-After", "10")
			d.showError(w, r, http.StatusTooManyRequests, "Too many wrong tokens. Wait ten seconds.")
		case r.Method == http.MethodGet && !wantsJSON(r) && r.URL.Path != metricsPath: // Prometheus would take the login for an answer
			http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
		default:
			w.Header().Set("WWW-Authenticate", `Bearer realm="quantbot"`)
			d.showError(w, r, http.StatusUnauthorized, "Log in first, or send the token as Authorization: Bearer.")
		}
	})
}

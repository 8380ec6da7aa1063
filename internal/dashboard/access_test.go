package dashboard_test

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/dashboard"
	"quantbot/internal/wiring/dashboardwiring"
)

func bearer(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }

func form(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

func asJSON(r *http.Request) { r.Header.Set("Accept", "application/json") }

func (w *harness) post(t testing.TB, path string, values url.Values, change ...func(*http.Request)) answer {
	t.Helper()
	return w.send(t, http.MethodPost, path, strings.NewReader(values.Encode()), append([]func(*http.Request){form}, change...)...)
}

// logIn returns the session's cookie.
func (w *harness) logIn(t testing.TB) *http.Cookie {
	t.Helper()
	a := w.post(t, "/login", url.Values{"name": {"ana"}, "token": {token}, "next": {"/fleet"}})
	require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Equal(t, "/fleet", a.Header.Get("Location"))
	require.Len(t, a.Cookies(), 1)
	return a.Cookies()[0]
}

func with(cookie *http.Cookie) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(cookie) }
}

func TestLogin(t *testing.T) {
	t.Parallel()
	w := setup(t)
	a := w.get(t, "/sweep")
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Equal(t, "/login?next=%2Fsweep", a.Header.Get("Location"))
	require.Equal(t, http.StatusUnauthorized, w.get(t, "/sweep", asJSON).StatusCode)

	cookie := w.logIn(t)
	require.True(t, cookie.HttpOnly)
	require.Equal(t, http.SameSiteStrictMode, cookie.SameSite)
	require.NotContains(t, cookie.Value, token)
	a = w.get(t, "/sweep", with(cookie))
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Contains(t, a.body, "ana@127.0.0.1")
	require.Equal(t, http.StatusOK, w.get(t, "/sweep", bearer).StatusCode)
	require.Equal(t, http.StatusSeeOther, w.post(t, "/logout", nil, with(cookie)).StatusCode)
	require.Equal(t, http.StatusSeeOther, w.get(t, "/sweep", with(cookie)).StatusCode, "the session has ended")

	for next, goes := range map[string]string{
		"//evil.example": "/", "https://evil.example": "/", `/\evil.example`: "/", "/runs/1?a=b": "/runs/1?a=b", "": "/",
	} {
		a := w.post(t, "/login", url.Values{"token": {token}, "next": {next}})
		if a.StatusCode == http.StatusSeeOther {
			require.Equal(t, goes, a.Header.Get("Location"), next)
		}
	}
}

func TestLoginTriesAreLimited(t *testing.T) {
	t.Parallel()
	w := setup(t)
	statuses := map[int]int{}
	for range 12 {
		statuses[w.post(t, "/login", url.Values{"token": {"guess"}}).StatusCode]++
	}
	require.LessOrEqual(t, statuses[http.StatusUnauthorized], 6)
	require.GreaterOrEqual(t, statuses[http.StatusTooManyRequests], 6)
	require.Equal(t, http.StatusTooManyRequests, w.post(t, "/login", url.Values{"token": {token}}).StatusCode, "the right one has to wait too")
	wrong := func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") }
	require.Equal(t, http.StatusTooManyRequests, w.get(t, "/sweep", wrong).StatusCode, "bearer tokens count as tries")
	require.Equal(t, http.StatusTooManyRequests, w.get(t, "/sweep", bearer).StatusCode, "else the answer would confirm a guess")
	require.Equal(t, http.StatusOK, w.statusElsewhere(t, "/sweep", bearer), "scripts elsewhere are not kept waiting")
}

// statusElsewhere is what a client at another address gets.
func (w *harness) statusElsewhere(t testing.TB, path string, change ...func(*http.Request)) int {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.server.URL+path, nil)
	require.NoError(t, err)
	for _, c := range change {
		c(request)
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	client := http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, DisableKeepAlives: true}}
	response, err := client.Do(request)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	return response.StatusCode
}

// A page that everybody may see is no place to try tokens at, either: it would show who has the right one.
func TestBearerGuessesAreSlowedOnEveryPage(t *testing.T) {
	t.Parallel()
	for _, path := range []string{"/", "/fleet", "/metrics", "/api/runs"} {
		w := setup(t, func(_ map[string]string, o *dashboardwiring.Options) { o.Metrics = http.NotFoundHandler() })
		for i := range 10 {
			w.get(t, path, func(r *http.Request) { r.Header.Set("Authorization", fmt.Sprintf("Bearer guess %d", i)) })
		}
		require.Equal(t, http.StatusTooManyRequests, w.get(t, "/sweep", bearer).StatusCode, path)
	}
}

func TestMetricsBeyondLoopbackSlowGuesses(t *testing.T) {
	t.Parallel()
	w := setup(t, public, func(_ map[string]string, o *dashboardwiring.Options) { o.Metrics = http.NotFoundHandler() })
	elsewhere := func(r *http.Request) { r.Host = "quantbot.example" }
	wrong := func(r *http.Request) { r.Header.Set("Authorization", "Bearer guess") }
	statuses := map[int]int{}
	for range 12 {
		statuses[w.get(t, "/metrics", elsewhere, wrong).StatusCode]++
	}
	require.LessOrEqual(t, statuses[http.StatusUnauthorized], 6)
	require.GreaterOrEqual(t, statuses[http.StatusTooManyRequests], 6)
	require.Equal(t, http.StatusTooManyRequests, w.get(t, "/metrics", elsewhere, bearer).StatusCode)
	require.Equal(t, http.StatusNotFound, w.statusElsewhere(t, "/metrics", elsewhere, bearer), "Prometheus reads on")
}

func TestATokenThatCouldBeGuessedIsRefused(t *testing.T) {
	t.Parallel()
	_, err := dashboard.New(dashboard.Config{Token: "hunter2-hunter2", Now: time.Now})
	require.ErrorContains(t, err, "QUANTBOT_DASHBOARD_TOKEN has fewer than 16 characters")
	require.NotContains(t, err.Error(), "hunter2")
}

func TestWithoutATokenNobodyActs(t *testing.T) {
	t.Parallel()
	w := setup(t, withoutToken)
	run := uuid.New().String()
	for _, path := range []string{"/runs/" + run + "/rollback", "/runs/" + run + "/cancel", "/sweep"} {
		for _, change := range []func(*http.Request){bearer, func(*http.Request) {}, func(r *http.Request) { r.Header.Set("Authorization", "Bearer ") }} {
			a := w.post(t, path, nil, change)
			require.Equal(t, http.StatusForbidden, a.StatusCode, path)
			require.Contains(t, a.body, "without QUANTBOT_DASHBOARD_TOKEN")
		}
	}
	require.Equal(t, http.StatusForbidden, w.post(t, "/login", url.Values{"token": {""}}).StatusCode)
	require.Equal(t, http.StatusForbidden, w.send(t, http.MethodDelete, "/queues/api/queues/ingest", nil).StatusCode)
	require.Contains(t, w.get(t, "/").body, "read-only")
}

func TestOtherSitesCannotAct(t *testing.T) {
	t.Parallel()
	w := setup(t)
	cookie := w.logIn(t)
	for name, change := range map[string]func(*http.Request){
		"cross-site fetch": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"same site":        func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"other origin":     func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
		"null origin":      func(r *http.Request) { r.Header.Set("Origin", "null") },
	} {
		for _, path := range []string{"/runs/" + uuid.New().String() + "/cancel", "/sweep", "/logout", "/queues/api/queues/ingest:pause"} {
			a := w.post(t, path, nil, with(cookie), change)
			require.Equal(t, http.StatusForbidden, a.StatusCode, name+" "+path)
			require.Contains(t, a.body, "came from another site")
		}
	}
	require.Equal(t, "0\n", w.env.ClickHouse(t, "SELECT count() FROM "+w.env.Database+".ohlcv_operator_actions"))
}

func TestOtherNamesAreNotServedOnLoopback(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for host, status := range map[string]int{
		"evil.example": http.StatusMisdirectedRequest, "127.0.0.1.evil.example": http.StatusMisdirectedRequest, "10.0.0.1:8080": http.StatusMisdirectedRequest,
		"localhost:8080": http.StatusOK, "LOCALHOST": http.StatusOK, "127.0.0.1": http.StatusOK, "[::1]:8080": http.StatusOK,
	} {
		require.Equal(t, status, w.get(t, "/", func(r *http.Request) { r.Host = host }).StatusCode, host)
	}
}

func TestBeyondLoopbackEveryPageWantsALogin(t *testing.T) {
	t.Parallel()
	w := setup(t, public, func(_ map[string]string, o *dashboardwiring.Options) { o.Metrics = http.NotFoundHandler() })
	elsewhere := func(r *http.Request) { r.Host = "quantbot.example" }
	for _, path := range []string{"/", "/fleet", "/queues/", "/runs/" + uuid.New().String()} {
		a := w.get(t, path, elsewhere)
		require.Equal(t, http.StatusSeeOther, a.StatusCode, path)
		require.Contains(t, a.Header.Get("Location"), "/login?next=")
	}
	for _, path := range []string{"/api/runs", "/api/fleet", "/api/runs/" + uuid.New().String() + "/events", "/metrics"} {
		require.Equal(t, http.StatusUnauthorized, w.get(t, path, elsewhere).StatusCode, path)
	}
	require.Equal(t, http.StatusOK, w.get(t, "/", elsewhere, bearer).StatusCode)
	require.Equal(t, http.StatusOK, w.get(t, "/healthz", elsewhere).StatusCode)

	w.cfg.DashboardToken = ""
	_, _, err := dashboardwiring.New(w.cfg, w.Stores, dashboardwiring.Options{Public: true, Logger: testLogger(t), Now: time.Now})
	require.ErrorContains(t, err, "QUANTBOT_DASHBOARD_TOKEN must be set")
}

// Other users of the machine reach loopback as well.
func TestAPrivateDashboardWantsALoginOnLoopback(t *testing.T) {
	t.Parallel()
	w := setup(t, func(_ map[string]string, o *dashboardwiring.Options) {
		o.Private, o.Metrics = true, http.NotFoundHandler()
	})
	for _, path := range []string{"/", "/fleet", "/coverage", "/queues/", "/runs/" + uuid.New().String()} {
		a := w.get(t, path)
		require.Equal(t, http.StatusSeeOther, a.StatusCode, path)
		require.Contains(t, a.Header.Get("Location"), "/login?next=")
	}
	for _, path := range []string{"/api/runs", "/api/runs/" + uuid.New().String() + "/events", "/metrics"} {
		require.Equal(t, http.StatusUnauthorized, w.get(t, path).StatusCode, path)
	}
	require.Equal(t, http.StatusOK, w.get(t, "/", bearer).StatusCode)
	require.Equal(t, http.StatusMisdirectedRequest, w.get(t, "/", bearer, func(r *http.Request) { r.Host = "evil.example" }).StatusCode)

	once := w.dashboard.LoginOnce("ana")
	require.Equal(t, http.StatusOK, w.send(t, http.MethodHead, once, nil).StatusCode, "who only looks for the page does not use it up")
	a := w.get(t, once+"&next=/fleet")
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	require.Equal(t, "/fleet", a.Header.Get("Location"))
	require.Contains(t, w.get(t, "/fleet", with(a.Cookies()[0])).body, "ana")
	for _, path := range []string{once, "/login?once=", "/login?once=guess"} {
		a = w.get(t, path)
		require.Equal(t, http.StatusUnauthorized, a.StatusCode, path)
		require.Empty(t, a.Cookies())
	}

	w.cfg.DashboardToken = ""
	_, _, err := dashboardwiring.New(w.cfg, w.Stores, dashboardwiring.Options{Private: true, Logger: testLogger(t), Now: time.Now})
	require.ErrorContains(t, err, "needs a token")
}

package dashboard_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/dashboard"
	"quantbot/internal/manifest"
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
	require.Equal(t, http.StatusTooManyRequests, w.get(t, "/sweep", bearer).StatusCode, "else a guess would be told from its answer")
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

func TestBadInputGetsAProperStatus(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run := w.scripted(t)
	for path, status := range map[string]int{
		"/runs/nonsense": 404, "/runs/" + uuid.New().String(): 404, "/runs/0123": 404, "/runs/%3Cscript%3E": 404, "/runs/" + strings.Repeat("a", 5000): 404,
		"/runs/" + run + "?page=0": 400, "/runs/" + run + "?page=99999999999999999999": 400, "/runs/" + run + "?limit=100000": 400,
		"/runs/" + run + "?order=;drop": 400, "/runs/" + run + "?chunk_status=x": 400, "/runs/" + run + "?chunk_token=" + strings.Repeat("x", 300): 400,
		"/?status=nope": 400, "/?since=yesterday-ish": 400, "/?after=1_2": 400, "/?after=-1_" + run: 400, "/?q=%00": 400, "/?q=%ff": 400,
		"/?after=9999999999999999_" + run: 400, "/?limit=-1": 400, "/?limit=1e9": 400, "/runs/" + run + "/explode": 404,
		"/api/runs/" + uuid.New().String() + "/events": 404, "/api/runs/nonsense/events": 404, "/assets/": 404, "/sweep?interval=2m&preview=yes": 400,
		"/sweep?older_than=-5x": 400,
	} {
		a := w.get(t, path, bearer)
		require.Equal(t, status, a.StatusCode, path)
		require.NotContains(t, a.body, "goroutine", path)
		require.NotContains(t, a.body, ".go:", path)
		require.NotContains(t, a.body, "<script>", path)
	}
	for path, method := range map[string]string{"/runs/" + run: "DELETE", "/fleet": "PUT", "/api/runs": "POST", "/runs/" + run + "/rollback": "PUT", "/login": "DELETE", "/healthz": "POST"} {
		a := w.send(t, method, path, nil, bearer)
		require.Equal(t, http.StatusMethodNotAllowed, a.StatusCode, path)
		require.NotEmpty(t, a.Header.Get("Allow"), path)
	}
	a := w.post(t, "/runs/"+run+"/rollback", url.Values{"reason": {strings.Repeat("x", 100_000)}}, bearer)
	require.Equal(t, http.StatusBadRequest, a.StatusCode)
}

// scripted is a failed run with a script in every field that people or services can fill.
func (w *harness) scripted(t testing.TB) string {
	t.Helper()
	const bad = `<script>alert(1)</script>"'&` + "\u202e\u0007\u200b"
	ctx := t.Context()
	at := candle.Range{From: 1_700_000_040, To: 1_700_003_640}
	run := backfill.Run{Attempt: 1, PlannedChunks: 1, Manifest: manifest.Manifest{
		RunID: uuid.New(), StartedAt: time.UnixMilli(1_700_000_000_000).UTC(), StartedBy: bad, ScriptVersion: bad, GitCommitHash: bad, GitBranch: bad,
		CLIArgs: map[string]any{bad: bad}, EnvInfo: map[string]string{bad: bad}, Labels: map[string]string{bad: bad}, InputHash: bad, Source: bad, Fallbacks: []string{bad},
		Interval: candle.Interval1m, Range: at, Validation: bad, DedupMode: bad,
	}}
	chunk := backfill.NewChunk(candle.Token{Chain: bad, Address: bad}, candle.Interval1m, at)
	require.NoError(t, w.History.Started(ctx, run))
	outcome := backfill.Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: at, Status: backfill.OutcomeFailed, Error: bad, ErrorClass: bad, Source: bad, Worker: bad, Version: bad,
		Executions: 1, StartedAt: time.UnixMilli(1_700_000_000_000), EndedAt: time.UnixMilli(1_700_000_001_000),
	}
	rejection := backfill.Rejection{Candle: candle.Candle{OpenTime: at.From}, Rule: bad}
	_, err := w.History.WriteChunk(ctx, backfill.ChunkWrite{Run: run, Chunk: chunk, Rejected: []backfill.Rejection{rejection}, Outcome: outcome})
	require.NoError(t, err)
	require.NoError(t, w.History.Finished(ctx, backfill.RunRecord{
		Run: run, Status: backfill.StatusFailed, CompletedAt: time.UnixMilli(1_700_000_002_000), FailedChunks: 1, ErrorMessage: bad,
	}))
	require.NoError(t, w.History.WriteAction(ctx, backfill.OperatorAction{
		ID: uuid.New(), Action: bad, RunID: run.ID(), By: bad, Address: bad, Reason: bad, Result: bad, Detail: bad,
	}))
	require.NoError(t, w.History.RollBack(ctx, run.ID(), backfill.UndoRequest{By: bad, Reason: bad}, false))
	require.NoError(t, w.History.Restore(ctx, run.ID(), backfill.UndoRequest{By: bad, Reason: bad}))
	return run.ID().String()
}

func TestNothingIsRenderedUnescaped(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run := w.scripted(t)
	const inQuery = "%3Cscript%3Ealert(1)%3C/script%3E%22%27"
	for _, path := range []string{
		"/", "/?q=" + inQuery, "/?source=" + inQuery, "/?token=" + inQuery, "/?since=" + inQuery, "/?status=" + inQuery,
		"/runs/" + run, "/runs/" + run + "?chunk_token=" + inQuery, "/runs/" + run + "/retry", "/runs/" + run + "/rollback", "/runs/" + run + "/cancel",
		"/fleet", "/login?next=/" + inQuery, "/" + inQuery, "/sweep?older_than=" + inQuery,
	} {
		a := w.get(t, path, bearer)
		require.NotContains(t, a.body, "<script>alert", path)
		require.NotContains(t, a.body, `"'&"`, path)
		require.Contains(t, a.Header.Get("Content-Type"), "text/html", path)
		require.NotContains(t, a.body, "\u202e", path)
		require.NotContains(t, a.body, "\u0007", path)
		require.NotContains(t, a.body, "\u200b", path)
	}
	shown := w.get(t, "/runs/"+run).body
	require.Contains(t, shown, "&lt;script&gt;alert(1)", "it is shown as text")
	require.Contains(t, shown, `\u202e\u0007\u200b`, "so is what a browser would obey")
	a := w.get(t, "/api/runs/"+run)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.NotContains(t, a.body, "<script>")
}

// What the programs were given as secrets is on no page and in no log.
func TestNoSecretIsOnAnyPage(t *testing.T) {
	t.Parallel()
	var logs strings.Builder
	var logging sync.Mutex
	w := setup(t, func(_ map[string]string, o *dashboardwiring.Options) {
		o.Logger = slog.New(slog.NewTextHandler(lockedWriter{&logging, &logs}, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	h := w.seed(t)
	cookie := w.logIn(t)
	for _, page := range browserPages {
		for _, path := range []string{page.path(h), "/api" + page.path(h)} {
			a := w.get(t, path, with(cookie))
			for _, secret := range []string{token, "simulated-key-7f3a", w.env.Password} {
				if secret != "" {
					require.NotContains(t, a.body, secret, path)
				}
			}
		}
	}
	w.post(t, "/login", url.Values{"token": {token + "-mistyped"}})
	w.post(t, "/runs/"+h.running.ID().String()+"/cancel", nil, bearer)
	logging.Lock()
	defer logging.Unlock()
	require.Contains(t, logs.String(), "login refused")
	require.Contains(t, logs.String(), "operator action")
	require.NotContains(t, logs.String(), token)
}

// lockedWriter lets several loggers write.
type lockedWriter struct {
	mu *sync.Mutex
	to io.Writer
}

func (w lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(p)
}

// What panics is an error page, and the next request is answered.
func TestAPanicIsAnErrorPage(t *testing.T) {
	t.Parallel()
	w := setup(t, func(_ map[string]string, o *dashboardwiring.Options) {
		o.Metrics = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("metrics are broken") })
	})
	a := w.get(t, "/metrics")
	require.Equal(t, http.StatusInternalServerError, a.StatusCode)
	require.Contains(t, a.body, "Something went wrong here")
	require.NotContains(t, a.body, "metrics are broken")
	require.NotContains(t, a.body, "goroutine")
	require.Equal(t, http.StatusOK, w.get(t, "/").StatusCode)
}

// Without Redis the history can still be read.
func TestPagesStandWithoutRedis(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.market(t)
	run := w.launch(t, 1, 1)
	require.NoError(t, w.Redis.Close())
	require.Equal(t, http.StatusOK, w.get(t, "/").StatusCode)
	a := w.get(t, "/runs/"+run.ID().String())
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Contains(t, a.body, "planned")
	require.Equal(t, http.StatusServiceUnavailable, w.get(t, "/readyz").StatusCode)
	require.Equal(t, http.StatusOK, w.get(t, "/fleet").StatusCode)
	w.Redis = nil
}

func TestAStoreThatIsAwayIsASentence(t *testing.T) {
	t.Parallel()
	w := setup(t)
	require.NoError(t, w.History.Close())
	w.History = nil
	a := w.get(t, "/runs/"+uuid.New().String())
	require.Contains(t, []int{http.StatusServiceUnavailable, http.StatusInternalServerError}, a.StatusCode)
	require.NotContains(t, a.body, "clickhouse-go")
	require.NotContains(t, a.body, w.env.Host)
	require.Equal(t, http.StatusServiceUnavailable, w.get(t, "/readyz").StatusCode)
	a = w.get(t, "/fleet")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Contains(t, a.body, "Not everything could be read")
	require.Equal(t, http.StatusOK, w.get(t, "/healthz").StatusCode)
}

// Serve ends when it is told to, streams included.
func TestServeEndsWithItsStreams(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.market(t)
	run := w.launch(t, 1, 1)
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.dashboard.Serve(ctx, listener) }()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+listener.Addr().String()+"/api/runs/"+run.ID().String()+"/events", nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	require.Equal(t, "text/event-stream", response.Header.Get("Content-Type"))
	first := make([]byte, 200)
	_, err = response.Body.Read(first)
	require.NoError(t, err)
	cancel()
	require.NoError(t, <-served, "a shutdown that waits for the stream runs out of time")
}

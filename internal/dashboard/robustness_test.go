package dashboard_test

import (
	"context"
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
	"quantbot/internal/manifest"
	"quantbot/internal/wiring/dashboardwiring"
)

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
	err := w.writeChunk(ctx, backfill.ChunkWrite{Run: run, Chunk: chunk, Rejected: []backfill.Rejection{rejection}, Outcome: outcome})
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

// Serve ends with its context, streams included.
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

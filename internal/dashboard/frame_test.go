package dashboard_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/clickhousetest"
	"quantbot/internal/config"
	"quantbot/internal/dashboard"
	"quantbot/internal/local/localtest"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
	"quantbot/internal/wiring/dashboardwiring"
)

func TestMain(m *testing.M) { localtest.Main(m) }

const token = "let-me-in-0123456789"

// harness is a dashboard over stores of the test's own.
type harness struct {
	*wiring.Stores
	cfg       config.Config
	dashboard *dashboard.Dashboard
	server    *httptest.Server
	env       *localtest.Env
}

// writeChunk stores what a worker would.
func (w *harness) writeChunk(ctx context.Context, write backfill.ChunkWrite) error {
	writer := clickhouse.NewWriter(w.History)
	defer writer.Close()
	_, err := writer.WriteChunk(ctx, write)
	return err
}

type harnessOption func(map[string]string, *dashboardwiring.Options)

func withoutToken(vars map[string]string, _ *dashboardwiring.Options) {
	vars["QUANTBOT_DASHBOARD_TOKEN"] = ""
}
func public(_ map[string]string, o *dashboardwiring.Options) { o.Public = true }

func setup(t testing.TB, options ...harnessOption) *harness {
	t.Helper()
	w := &harness{env: clickhousetest.New(t)}
	vars := w.env.Vars()
	vars["QUANTBOT_DASHBOARD_TOKEN"] = token
	o := dashboardwiring.Options{Logger: testLogger(t), Now: time.Now}
	for _, option := range options {
		option(vars, &o)
	}
	var err error
	w.cfg, err = register.LoadConfig(func(name string) string { return vars[name] })
	require.NoError(t, err)
	w.Stores, err = wiring.OpenStores(t.Context(), w.cfg, o.Logger)
	require.NoError(t, err)
	var release func() error
	w.dashboard, release, err = dashboardwiring.New(w.cfg, w.Stores, o)
	require.NoError(t, err)
	w.server = httptest.NewServer(w.dashboard)
	t.Cleanup(func() {
		w.dashboard.Close()
		w.server.Close()
		require.NoError(t, release())
		require.NoError(t, w.Close())
	})
	return w
}

// answer is a response whose body has been read.
type answer struct {
	*http.Response
	body string
}

// get sends a request as a script would; change may add to it.
func (w *harness) get(t testing.TB, path string, change ...func(*http.Request)) answer {
	t.Helper()
	return w.send(t, http.MethodGet, path, nil, change...)
}

func (w *harness) send(t testing.TB, method, path string, body io.Reader, change ...func(*http.Request)) answer {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, w.server.URL+path, body)
	require.NoError(t, err)
	for _, c := range change {
		c(request)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	require.NoError(t, err)
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return answer{response, string(read)}
}

func TestPagesAndErrors(t *testing.T) {
	t.Parallel()
	w := setup(t)
	for _, c := range []struct {
		method, path string
		status       int
		says         string
	}{
		{"GET", "/", 200, "No runs yet"},
		{"HEAD", "/", 200, ""},
		{"GET", "/api/runs", 200, `"runs"`},
		{"GET", "/nowhere", 404, "There is no such page."},
		{"GET", "/api/nowhere", 404, `"error": "There is no such page."`},
		{"POST", "/", 405, "This address does not take POST, only GET."},
		{"GET", "/?limit=1000000", 400, "limit must be a whole number between 1 and 200."},
		{"GET", "/?limit=%zz", 400, "the address is malformed"},
		{"GET", "/assets/style.css", 200, "prefers-color-scheme"},
		{"GET", "/assets/..%2fdoc.go", 404, "There is no such file."},
		{"GET", "/healthz", 200, "ok"},
		{"GET", "/readyz", 200, `"redis": "ok"`},
	} {
		a := w.send(t, c.method, c.path, nil)
		require.Equal(t, c.status, a.StatusCode, c.path)
		require.Contains(t, a.body, c.says, c.path)
		require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'", c.path)
	}
}

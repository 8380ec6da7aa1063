package dashboard_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/config"
	"quantbot/internal/secret"
	"quantbot/internal/wiring"
	"quantbot/internal/wiring/dashboardwiring"
)

// silentProxy passes everything on until it falls silent: then it accepts connections and says nothing.
type silentProxy struct {
	address string
	silent  atomic.Bool
}

func newSilentProxy(t *testing.T, server string) *silentProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &silentProxy{address: listener.Addr().String()}
	var serving sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	serving.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			upstream, err := net.Dial("tcp", server)
			if err != nil {
				_ = client.Close()
				continue
			}
			mu.Lock()
			open = append(open, client, upstream)
			mu.Unlock()
			serving.Go(func() { p.pass(upstream, client) })
			serving.Go(func() { p.pass(client, upstream) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		mu.Lock()
		for _, conn := range open {
			_ = conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return p
}

func (p *silentProxy) pass(to, from net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.silent.Load() {
			_, _ = to.Write(buffer[:n]) // who has hung up reads nothing
		}
		if err != nil {
			if !p.silent.Load() {
				_ = to.Close()
			}
			return
		}
	}
}

// proxiedDashboard is a dashboard whose stores can be silenced.
type proxiedDashboard struct {
	url            string
	history, redis *silentProxy
}

func newProxiedDashboard(t *testing.T, w *harness) proxiedDashboard {
	t.Helper()
	redisURL, err := url.Parse(w.env.RedisURL)
	require.NoError(t, err)
	p := proxiedDashboard{
		redis: newSilentProxy(t, redisURL.Host), history: newSilentProxy(t, net.JoinHostPort(w.env.Host, strconv.Itoa(w.env.NativePort))),
	}
	redisURL.Host = p.redis.address
	cfg := w.cfg
	cfg.Redis, err = config.ParseRedis(secret.Text(redisURL.String()))
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(p.history.address)
	require.NoError(t, err)
	cfg.ClickHouse.Host = host
	cfg.ClickHouse.Port, err = strconv.Atoi(port)
	require.NoError(t, err)
	stores, err := wiring.OpenStores(t.Context(), cfg, testLogger(t))
	require.NoError(t, err)
	d, release, err := dashboardwiring.New(cfg, stores, dashboardwiring.Options{Logger: testLogger(t), Now: time.Now})
	require.NoError(t, err)
	server := httptest.NewServer(d)
	t.Cleanup(func() {
		server.Close()
		d.Close()
		_ = release()      // what it reached says nothing
		_ = stores.Close() // the same
	})
	p.url = server.URL
	return p
}

func (p proxiedDashboard) ask(path string) (int, string, error) {
	// On an idle machine it takes at most 4.3 s. A client's own timeouts would take 12 s (Redis) or 30 s (ClickHouse).
	client := http.Client{Timeout: 9 * time.Second}
	response, err := client.Get(p.url + path)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, string(body), err
}

// Every page and its JSON says in words which store does not answer, and since when, also while the store accepts connections
// and says nothing.
func TestASilentStoreIsNamedOnEveryPage(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"clickhouse", "redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			h := w.seed(t)
			p := newProxiedDashboard(t, w)
			run, completed := "/runs/"+h.running.ID().String(), "/runs/"+h.completed.ID().String()
			paths := []string{
				"/", "/api/runs", run, "/api" + run, run + "/cancel", "/api" + run + "/cancel", completed + "/rollback",
				"/fleet", "/api/fleet", "/coverage", "/api/coverage", "/quality", "/api/quality", "/sweep", "/queues/api/queues", "/api" + run + "/events",
			}
			for _, path := range paths[:len(paths)-1] {
				status, body, err := p.ask(path)
				require.NoError(t, err, path)
				require.Equal(t, http.StatusOK, status, "%s: %.300s", path, body)
			}
			map[string]*silentProxy{"clickhouse": p.history, "redis": p.redis}[store].silent.Store(true)
			// What needs only the other store, or shows what it has, need not fail.
			whole := map[string][]string{
				"clickhouse": {"/queues/api/queues", "/api" + run + "/events", "/sweep"},
				"redis":      {"/coverage", "/api/coverage", "/quality", "/api/quality", "/sweep", completed + "/rollback"},
			}[store]
			var asking sync.WaitGroup
			for _, path := range paths {
				if strings.HasSuffix(path, "/events") && store == "clickhouse" {
					continue // a stream has no end
				}
				asking.Go(func() { p.requireNamed(t, path, "no answer from "+store+" since 20", slices.Contains(whole, path)) })
			}
			asking.Wait()
		})
	}
}

// requireNamed fails the test unless the page says so; one that may be whole need not.
func (p proxiedDashboard) requireNamed(t *testing.T, path, says string, mayBeWhole bool) {
	began := time.Now()
	status, body, err := p.ask(path)
	t.Logf("%s: %d after %.1f s", path, status, time.Since(began).Seconds())
	switch {
	case err != nil:
		t.Errorf("%s: %v", path, err)
	case mayBeWhole && status == http.StatusOK:
	case !strings.Contains(body, says):
		t.Errorf("%s answers %d without %q:\n%.600s", path, status, says, body)
	}
}

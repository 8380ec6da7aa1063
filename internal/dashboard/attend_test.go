package dashboard_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
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

// Every page and its JSON says in words which store does not answer, and since when, also while the store accepts connections
// and says nothing.
func TestASilentStoreIsNamedOnEveryPage(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"clickhouse", "redis"} {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			h := w.seed(t)
			redisURL, err := url.Parse(w.env.RedisURL)
			require.NoError(t, err)
			redis := newSilentProxy(t, redisURL.Host)
			history := newSilentProxy(t, net.JoinHostPort(w.env.Host, strconv.Itoa(w.env.NativePort)))
			redisURL.Host = redis.address
			cfg := w.cfg
			cfg.Redis, err = config.ParseRedis(secret.Text(redisURL.String()))
			require.NoError(t, err)
			host, port, err := net.SplitHostPort(history.address)
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
			ask := func(path string) (int, string, error) {
				// On an idle machine it takes at most 4.3 s. A client's own timeouts would take 12 s (Redis) or 30 s (ClickHouse).
				client := http.Client{Timeout: 9 * time.Second}
				response, err := client.Get(server.URL + path)
				if err != nil {
					return 0, "", err
				}
				defer response.Body.Close()
				body, err := io.ReadAll(response.Body)
				return response.StatusCode, string(body), err
			}
			run := "/runs/" + h.running.ID().String()
			paths := []string{
				"/", "/api/runs", run, "/api" + run, run + "/cancel", "/api" + run + "/cancel", "/runs/" + h.completed.ID().String() + "/rollback",
				"/fleet", "/api/fleet", "/coverage", "/api/coverage", "/quality", "/api/quality", "/sweep", "/queues/api/queues", "/api" + run + "/events",
			}
			for _, path := range paths[:len(paths)-1] {
				status, body, err := ask(path)
				require.NoError(t, err, path)
				require.Equal(t, http.StatusOK, status, "%s: %.300s", path, body)
			}
			map[string]*silentProxy{"clickhouse": history, "redis": redis}[store].silent.Store(true)
			says := "no answer from " + store + " since 20"
			// What needs only the other store, or shows what it has, need not fail.
			whole := map[string][]string{
				"clickhouse": {"/queues/api/queues", "/api" + run + "/events", "/sweep"},
				"redis":      {"/coverage", "/api/coverage", "/quality", "/api/quality", "/sweep", "/runs/" + h.completed.ID().String() + "/rollback"},
			}[store]
			var asking sync.WaitGroup
			for _, path := range paths {
				asking.Go(func() {
					if strings.HasSuffix(path, "/events") && store == "clickhouse" {
						return // a stream has no end
					}
					began := time.Now()
					status, body, err := ask(path)
					t.Logf("%s: %d after %.1f s", path, status, time.Since(began).Seconds())
					if err != nil {
						t.Errorf("%s: %v", path, err)
						return
					}
					for _, does := range whole {
						if path == does && status == http.StatusOK {
							return
						}
					}
					if !strings.Contains(body, says) {
						t.Errorf("%s answers %d without %q:\n%.600s", path, status, says, body)
					}
				})
			}
			asking.Wait()
		})
	}
}

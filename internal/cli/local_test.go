package cli

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

// A person with nothing but a key: no servers, one command, and the run is there for the next command.
func TestLocalNeedsNoServers(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	url := h.vars["BIRDEYE_BASE_URL"]
	h.vars = map[string]string{"BIRDEYE_BASE_URL": url, "BIRDEYE_API_KEY": "distinctive-key", "BIRDEYE_RPS": "500"}
	dir := "--local=" + t.TempDir()
	r := h.runWithInput(t, simmarket.Tokens(1)[0].Address+"\n", dir, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--tokens", "-", "--wait", "--format", "json")
	require.Equal(t, 0, r.code, r.stderr)
	id := fmt.Sprint(row(t, r.stdout)["run_id"])
	list := h.run(t, dir, "ohlcv", "runs-list")
	require.Equal(t, 0, list.code, list.stderr)
	require.Contains(t, list.stdout, id)
}

// Whoever looks at the data of --local is its owner as well, token or not.
func TestTheDashboardOfLocalEnginesIsPrivate(t *testing.T) {
	t.Parallel()
	h := &harness{vars: map[string]string{}}
	token := "0123456789abcdef0123456789abcdef"
	h.vars[dashboardToken] = token
	url, stop := startDashboard(t, h, "--local="+filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0")
	requirePrivate(t, strings.Fields(url)[0], token)
	stop()
}

// requirePrivate shows that a dashboard on loopback shows nothing to other users of the machine, and all to who has the address
// that was printed, once, or the token.
func requirePrivate(t *testing.T, printed, token string) {
	t.Helper()
	at, _, found := strings.Cut(printed, "/login?once=")
	require.True(t, found, printed)
	status := func(client *http.Client, address, bearer string) int {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
		require.NoError(t, err)
		if bearer != "" {
			request.Header.Set("Authorization", "Bearer "+bearer)
		}
		response, err := client.Do(request)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		return response.StatusCode
	}
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	stranger, owner := &http.Client{}, &http.Client{Jar: jar}
	for _, path := range []string{"/api/runs?status=completed", "/metrics"} {
		require.Equal(t, http.StatusUnauthorized, status(stranger, at+path, ""), path)
		require.Equal(t, http.StatusOK, status(stranger, at+path, token), path)
	}
	require.Equal(t, http.StatusOK, status(owner, printed, ""), "it leads to the runs")
	require.Equal(t, http.StatusOK, status(owner, at+"/api/runs?status=completed", ""))
	require.Equal(t, http.StatusUnauthorized, status(stranger, printed, ""), "it works once")
}

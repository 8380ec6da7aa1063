package cli

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"quantbot/internal/simmarket"
)

func TestAnAddressThatCannotBeServedIsSaidInWords(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	h := setup(t, simmarket.Options{})
	for _, args := range [][]string{{"simmarket", "--listen", taken.Addr().String()}, {"dashboard", "--listen", taken.Addr().String()}, {"worker", "--metrics-addr", taken.Addr().String()}} {
		r := h.run(t, args...)
		require.Equal(t, exitFailed, r.code, args)
		require.Contains(t, r.stderr, args[1]+" "+args[2]+": another program listens there: choose another port, or 0 for a free one")
	}
	require.Contains(t, h.run(t, "simmarket", "--listen", "192.0.2.1:0").stderr, "this machine does not have the address")
}

// silent takes connections and says nothing.
func silent(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, listener.Close()) })
	return listener.Addr().String()
}

func TestASilentServerIsSaidInWords(t *testing.T) {
	t.Parallel()
	host, port, err := net.SplitHostPort(silent(t))
	require.NoError(t, err)
	h := setup(t, simmarket.Options{})
	h.vars["CLICKHOUSE_HOST"], h.vars["CLICKHOUSE_PORT"] = host, port
	r := h.run(t, "ohlcv", "runs-list")
	require.Equal(t, exitFailed, r.code)
	require.Contains(t, r.stderr, "took the connection and did not answer as ClickHouse")
}

func TestWhatIsPrintedCanBeOpened(t *testing.T) {
	t.Parallel()
	const others = " (and this machine's other addresses)"
	for address, url := range map[string]string{
		"[::]:8080": "http://127.0.0.1:8080" + others, "0.0.0.0:1": "http://127.0.0.1:1" + others, "127.0.0.1:8080": "http://127.0.0.1:8080",
		"[::1]:80": "http://[::1]:80", "10.1.2.3:9": "http://10.1.2.3:9",
	} {
		require.Equal(t, url, reachableURL(address))
	}
}

package local

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestFreePortsDiffer(t *testing.T) {
	t.Parallel()
	ports, err := freePorts(20)
	require.NoError(t, err)
	seen := map[int]bool{}
	for _, port := range ports {
		require.False(t, seen[port])
		seen[port] = true
	}
}

// libchdb stays alive when it cannot listen: that must be noticed at once, not after the start's whole time.
func TestATakenPortIsNoticed(t *testing.T) {
	t.Parallel()
	library, err := chooseClickHouse("")
	require.NoError(t, err)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, taken.Close()) })
	port := taken.Addr().(*net.TCPAddr).Port
	engine, err := startClickHouse(t.TempDir(), library)
	require.NoError(t, err)
	engine.stop()
	engine.port = port
	require.Error(t, engine.restart())
}

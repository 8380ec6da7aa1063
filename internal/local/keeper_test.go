package local

import (
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/gofrs/flock"
	"github.com/stretchr/testify/require"
)

// A keeper runs for days, and the collector with it: what says that the directory is taken must stay locked until the
// engines have ended, or a second keeper starts over their data.
func TestTheKeepersLockOutlivesTheCollector(t *testing.T) {
	t.Parallel()
	library, err := chooseClickHouse("")
	require.NoError(t, err)
	dir := t.TempDir()
	user := flock.New(filepath.Join(dir, usersFile))
	require.NoError(t, user.RLock())
	ended := make(chan error, 1)
	go func() { ended <- keep(dir, library, slog.New(slog.DiscardHandler)) }()
	e := &Engines{dir: dir}
	require.Eventually(t, func() bool {
		found, err := e.readState()
		require.NoError(t, err)
		return found
	}, time.Minute, 10*time.Millisecond)
	for range 5 {
		runtime.GC()
		kept, err := e.kept()
		require.NoError(t, err)
		require.True(t, kept, "somebody else could start engines here")
	}
	require.NoError(t, user.Unlock())
	require.NoError(t, <-ended)
	kept, err := e.kept()
	require.NoError(t, err)
	require.False(t, kept)
}

package localtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A directory whose process was killed is removed; one in use and one that is just being made stay.
func TestOnlyAbandonedDirectoriesAreRemoved(t *testing.T) {
	t.Parallel()
	parent := t.TempDir()
	makeOld := func(name string, age time.Duration) string {
		path := filepath.Join(parent, prefix+name)
		require.NoError(t, os.Mkdir(path, 0o700))
		lock := filepath.Join(path, lockName)
		require.NoError(t, os.WriteFile(lock, nil, 0o600))
		made := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(lock, made, made))
		return path
	}
	abandoned, young := makeOld("abandoned", time.Hour), makeOld("young", time.Second)
	used := &directory{path: makeOld("used", time.Hour)}
	require.NoError(t, used.hold())

	removeAbandoned(parent)
	require.NoDirExists(t, abandoned)
	require.DirExists(t, young)
	require.DirExists(t, used.path)

	require.NoError(t, used.remove())
	require.NoDirExists(t, used.path)
}

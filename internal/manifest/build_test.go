package manifest

import (
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBuildNeverGuesses(t *testing.T) {
	t.Parallel()
	yes := true
	recorded := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}
	for name, c := range map[string]struct {
		stamped Build
		info    debug.BuildInfo
		want    Build
	}{
		"nothing known":       {},
		"a development build": {info: debug.BuildInfo{Main: debug.Module{Version: "(devel)"}}},
		"recorded by the toolchain": {
			info: debug.BuildInfo{GoVersion: "go1.26", Main: debug.Module{Version: "v1.2.3"}, Settings: recorded},
			want: Build{Version: "v1.2.3", GitCommitHash: "abc", GitDirty: &yes, GoVersion: "go1.26"},
		},
		"the stamp wins": {
			stamped: Build{Version: "9", GitCommitHash: "def", GitBranch: "main", GitDirty: &yes},
			info:    debug.BuildInfo{Main: debug.Module{Version: "v1.2.3"}, Settings: recorded},
			want:    Build{Version: "9", GitCommitHash: "def", GitBranch: "main", GitDirty: &yes},
		},
		"a stamped commit is not mixed with another checkout's state": {
			stamped: Build{GitCommitHash: "def"},
			info:    debug.BuildInfo{Settings: recorded},
			want:    Build{GitCommitHash: "def"},
		},
		"a state that is no boolean": {
			info: debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "maybe"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := c.stamped
			got.fill(&c.info)
			require.Equal(t, c.want, got)
		})
	}
}

// A test binary carries neither stamp nor version control: exactly what must read unknown.
func TestCurrentBuildSaysUnknown(t *testing.T) {
	t.Parallel()
	b := CurrentBuild()
	require.Equal(t, Unknown, b.GitBranch)
	require.Equal(t, Unknown, b.GitCommitHash)
	require.NotEmpty(t, b.Version)
	require.Nil(t, b.GitDirty)
	require.Contains(t, b.GoVersion, "go")
}

func TestParseDirty(t *testing.T) {
	t.Parallel()
	yes, no := true, false
	require.Equal(t, &yes, parseDirty("true"))
	require.Equal(t, &no, parseDirty("false"))
	require.Nil(t, parseDirty(""))
	require.Nil(t, parseDirty("1"))
}

package manifest

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestNewIdentifiesTheRun(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("x", 3600))
	args := map[string]any{"from": "2024-01-01", "calls-query": "FROM 'postgres://u:pw@h/db'"}
	m, err := New(Manifest{Source: "birdeye", CLIArgs: args}, Build{Version: "1.2.3", GitCommitHash: "abc", GitBranch: Unknown}, now)
	require.NoError(t, err)
	require.Equal(t, uuid.Version(7), m.RunID.Version())
	require.Regexp(t, `^[^@]+@[^@]+$`, m.StartedBy)

	m.RunID, m.StartedBy = uuid.Nil, ""
	require.Equal(t, Manifest{
		StartedAt: time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC), ScriptVersion: "1.2.3", GitCommitHash: "abc", GitBranch: Unknown,
		CLIArgs: map[string]any{"from": "2024-01-01", "calls-query": "FROM 'postgres://u:***@h/db'"}, Source: "birdeye",
	}, m)
}

func TestRunIDsAreNewAndAscend(t *testing.T) {
	t.Parallel()
	var before Manifest
	for range 100 {
		m, err := New(Manifest{}, Build{}, time.Unix(0, 0))
		require.NoError(t, err)
		require.Greater(t, m.RunID.String(), before.RunID.String())
		before = m
	}
}

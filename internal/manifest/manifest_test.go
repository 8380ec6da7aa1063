package manifest

import (
	"bytes"
	"context"
	"log/slog"
	"runtime/debug"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestNewIdentifiesTheRun(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.FixedZone("x", 3600))
	m, err := New(Manifest{Source: "birdeye"}, Build{Version: "1.2.3", GitCommitHash: "abc", GitBranch: Unknown}, now)
	require.NoError(t, err)
	require.Equal(t, uuid.Version(7), m.RunID.Version())
	require.Equal(t, time.Date(2026, 1, 2, 2, 4, 5, 678_000_000, time.UTC), m.StartedAt)
	require.Equal(t, "1.2.3", m.ScriptVersion)
	require.Equal(t, "birdeye", m.Source)
	require.Contains(t, m.StartedBy, "@")
	require.Nil(t, m.GitDirty)
}

func TestBuildNeverGuesses(t *testing.T) {
	t.Parallel()
	var b Build
	b.fill(&debug.BuildInfo{Main: debug.Module{Version: "(devel)"}})
	require.Empty(t, b.Version)
	require.Nil(t, b.GitDirty)

	b.fill(&debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}})
	require.Equal(t, "abc", b.GitCommitHash)
	require.True(t, *b.GitDirty)

	// What the linker stamped is not mixed with what the toolchain recorded of another checkout.
	stamped := Build{GitCommitHash: "def"}
	stamped.fill(&debug.BuildInfo{Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.modified", Value: "true"}}})
	require.Equal(t, "def", stamped.GitCommitHash)
	require.Nil(t, stamped.GitDirty)
}

func TestEnvironmentHoldsNoSecret(t *testing.T) {
	t.Parallel()
	set := map[string]string{
		"REDIS_URL": "rediss://user:hunter2@redis:6379/0", "CLICKHOUSE_PASSWORD": "hunter2", "BIRDEYE_API_KEY": "hunter2",
		"CLICKHOUSE_DSN": "clickhouse://u:hunter2@h/db", "HOME": "/home/me", "CLICKHOUSE_HOST": "ch",
		"BIRDEYE_BASE_URL": "https://x.example/?api_key=hunter2&a=1", "BINANCE_BASE_URL": "http://u:hunter2@[bad",
	}
	env := Environment(func(name string) string { return set[name] })
	require.Equal(t, map[string]string{
		"REDIS_URL": "rediss://user:***@redis:6379/0", "CLICKHOUSE_PASSWORD": "***", "BIRDEYE_API_KEY": "***",
		"CLICKHOUSE_DSN": "***", "CLICKHOUSE_HOST": "ch", "BIRDEYE_BASE_URL": "https://x.example/?api_key=***&a=1",
		"BINANCE_BASE_URL": "***",
	}, env)
}

func TestInputHashIsStable(t *testing.T) {
	t.Parallel()
	hash, err := InputHash(struct {
		A string `json:"a"`
		B int    `json:"b"`
	}{"x", 1})
	require.NoError(t, err)
	again, err := InputHash(map[string]any{"b": 1, "a": "x"})
	require.NoError(t, err)
	require.Equal(t, hash, again, "maps are encoded in the order of their keys")
	require.Len(t, hash, 64)
}

func TestContextGivesTheManifestBackAndNamesTheRunInLogs(t *testing.T) {
	t.Parallel()
	_, ok := FromContext(context.Background())
	require.False(t, ok)

	m := Manifest{RunID: uuid.MustParse("0192f0c1-1111-7111-8111-111111111111")}
	ctx := NewContext(context.Background(), m)
	got, ok := FromContext(ctx)
	require.True(t, ok)
	require.Equal(t, m, got)

	var out bytes.Buffer
	logger := slog.New(LogHandler(slog.NewTextHandler(&out, nil))).With("worker", "w1")
	logger.InfoContext(ctx, "one")
	require.Contains(t, out.String(), "worker=w1 run_id="+m.RunID.String())
	out.Reset()
	logger.InfoContext(ctx, "two", "run_id", "mine")
	require.NotContains(t, out.String(), m.RunID.String())
}

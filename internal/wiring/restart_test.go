package wiring_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/local/localtest"
)

// Engines by their place among localtest's processes.
const (
	redisProcess      = 1
	clickHouseProcess = 2
)

// kill ends an engine by force; its keeper starts it again on the same port and data.
func kill(t *testing.T, env *localtest.Env, engine int) {
	t.Helper()
	require.NoError(t, syscall.Kill(env.Engines.PIDs()[engine], syscall.SIGKILL))
}

// Redis dies, and comes back from its append-only file, between fetch and insert.
func TestARestartedRedisLosesNothing(t *testing.T) {
	t.Parallel()
	w := setupOn(t, localtest.NewOwn(t))
	run, chunks := newRun(t, 5)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	require.NoError(t, w.takeUp(t, run, chunks[0], "never"))
	h := w.handler()
	stuck := &gate{Source: w.source, entered: make(chan struct{}), open: make(chan struct{})}
	h.Worker.Filler.Source = only(stuck)
	ended := make(chan error, 1)
	task := w.task(t, run, chunks[1])
	go func() { ended <- h.ProcessTask(t.Context(), task) }()
	<-stuck.entered
	// On a busy disk Redis holds its log back for up to two seconds; what is lost with those is another test's matter.
	require.Eventually(t, func() bool {
		persistence, err := w.Redis.Info(t.Context(), "persistence").Result()
		return err == nil && strings.Contains(persistence, "aof_buffer_length:0\r\n")
	}, 2*time.Minute, 10*time.Millisecond)
	kill(t, w.env, redisProcess)
	require.Eventually(t, func() bool { return w.Redis.Ping(t.Context()).Err() == nil }, 2*time.Minute, 10*time.Millisecond)
	close(stuck.open)
	require.NoError(t, <-ended, "what was fetched is kept: its lease was on disk")
	requireExact(t, w.work(t, run), 5)
	require.Equal(t, 1, w.source.times(chunks[0].Range))
	require.Equal(t, 1, w.source.times(chunks[1].Range))
}

// ClickHouse is away when a chunk is to be stored: it is kept in hand and stored when ClickHouse is back.
func TestAChunkWaitsForClickHouse(t *testing.T) {
	t.Parallel()
	w := setupOn(t, localtest.NewOwn(t))
	run, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	h := w.handler()
	frozen := &frozenStore{CandleStore: w.writer, entered: make(chan struct{}, 9), open: make(chan struct{})}
	h.Worker.Filler.Store = frozen
	ended := make(chan error, 1)
	task := w.task(t, run, chunks[0])
	go func() { ended <- h.ProcessTask(t.Context(), task) }()
	<-frozen.entered
	pid := w.env.Engines.PIDs()[clickHouseProcess]
	kill(t, w.env, clickHouseProcess)
	require.Eventually(t, func() bool { return syscall.Kill(pid, 0) != nil }, 2*time.Minute, time.Millisecond)
	close(frozen.open)
	require.NoError(t, <-ended)
	require.Equal(t, 1, w.source.times(chunks[0].Range), "it was not fetched again")
	requireExact(t, w.work(t, run), 3)
}

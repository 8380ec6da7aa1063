package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/simmarket"
)

// Nobody works: --wait says so after its patience. An interrupt ends the waiting alone, and names what can be done.
func TestAnInterruptedWaitSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	var stdout, stderr sharedText
	var later atomic.Int64
	a := &app{
		stdin: strings.NewReader(""), stdout: &stdout, stderr: &stderr,
		now:    func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
		getenv: func(name string) string { return h.vars[name] },
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	ended := make(chan int, 1)
	go func() {
		ended <- a.run(ctx, []string{"ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address, "--wait"})
	}()
	running := func() bool {
		return h.number(t, "SELECT count() FROM "+h.table("ohlcv_ingestion_runs")+" WHERE status = 'running'") == 1
	}
	h.ok(t, "migrate")
	require.Eventually(t, running, time.Minute, 20*time.Millisecond)
	require.False(t, stderr.contains("no worker"))
	// Again and again, because the waiting may begin after the first.
	require.Eventually(t, func() bool {
		later.Add(int64(lonelyAfter))
		return stderr.contains("no worker is running: start one")
	}, time.Minute, watchEvery)
	interrupt()
	require.Equal(t, exitInterrupted, <-ended)
	id := h.latest(t)
	require.True(t, stderr.contains(fmt.Sprintf("run %s goes on: watch it with quantbot ohlcv runs-watch %s, or end it with runs-cancel", id, id)))
	require.True(t, running())

	cancelled := h.ok(t, "ohlcv", "runs-cancel", id)
	require.Contains(t, cancelled.stdout, "cancelled")
	watched := h.run(t, "ohlcv", "runs-watch", id)
	require.Equal(t, exitRunFailed, watched.code)
	require.Equal(t, "quantbot: run "+id+" cancelled\n", watched.stderr)
}

// Redis is there, but what it has of the run cannot be read: that is said, or ends the waiting where it will not get better.
func TestAWaitForWhatCannotBeReadSaysSo(t *testing.T) {
	t.Parallel()
	h := setup(t, simmarket.Options{})
	h.ok(t, "ingestion", "ohlcv", "--from", "2025-03-01", "--to", "2025-03-02", "--token", simmarket.Tokens(1)[0].Address)
	id := h.latest(t)
	options, err := redis.ParseURL(h.env.RedisURL)
	require.NoError(t, err)
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	meta := "quantbot:{" + id + "}:meta"
	run, err := client.HGetAll(t.Context(), meta).Result()
	require.NoError(t, err)

	require.NoError(t, client.HSet(t.Context(), meta, "run", "torn").Err())
	torn := h.run(t, "ohlcv", "runs-watch", id)
	require.Equal(t, exitFailed, torn.code)
	require.Contains(t, torn.stderr, "read run "+id+": decode run "+id)

	require.NoError(t, client.Del(t.Context(), meta).Err())
	require.NoError(t, client.Set(t.Context(), meta, "another kind", 0).Err())
	var stderr sharedText
	var later atomic.Int64
	a := &app{
		stdin: strings.NewReader(""), stdout: io.Discard, stderr: &stderr,
		now:    func() time.Time { return time.Now().Add(time.Duration(later.Load())) },
		getenv: func(name string) string { return h.vars[name] },
	}
	ended := make(chan int, 1)
	go func() { ended <- a.run(t.Context(), []string{"ohlcv", "runs-watch", id}) }()
	require.Eventually(t, func() bool {
		later.Add(int64(backfill.SilentAfter)) // again and again, because the waiting may begin after the first
		return stderr.contains("waiting: redis takes nothing since ") && stderr.contains("WRONGTYPE")
	}, 2*time.Minute, watchEvery)
	require.NoError(t, client.Del(t.Context(), meta).Err())
	require.NoError(t, client.HSet(t.Context(), meta, run).Err())
	h.ok(t, "ohlcv", "runs-cancel", id)
	require.Equal(t, exitRunFailed, <-ended)
}

func TestAnInterruptedLocalRunNamesItsDirectory(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	text := (&app{localDir: "d"}).interrupted(id).Error()
	require.Equal(t, fmt.Sprintf("interrupted; go on with run %[1]s: quantbot --local=d ohlcv runs-watch %[1]s, or end it with quantbot --local=d ohlcv runs-cancel %[1]s", id), text)
}

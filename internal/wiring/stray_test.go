package wiring_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/local/localtest"
	"quantbot/internal/secret"
	"quantbot/internal/tasks"
	"quantbot/internal/tasks/monitor"
)

// Keys of asynq.
const (
	pendingKey = "asynq:{ingest}:pending"
	activeKey  = "asynq:{ingest}:active"
	leasesKey  = "asynq:{ingest}:lease"
)

// taken does to the task of a chunk what asynq does for a worker that takes it, and dies; without a lease when it is 0.
func (w *harness) taken(t *testing.T, run backfill.Run, chunk backfill.Chunk, lease float64) (id string) {
	t.Helper()
	ctx := t.Context()
	id = fmt.Sprintf("%s:%d:%s", run.ID(), run.Attempt, chunk.ID)
	require.EqualValues(t, 1, w.Redis.LRem(ctx, pendingKey, 1, id).Val())
	require.NoError(t, w.Redis.LPush(ctx, activeKey, id).Err())
	require.NoError(t, w.Redis.HSet(ctx, "asynq:{ingest}:t:"+id, "state", "active").Err())
	if lease > 0 {
		require.NoError(t, w.Redis.ZAdd(ctx, leasesKey, redis.Z{Score: lease, Member: id}).Err())
	}
	return id
}

// hibiken/asynq 1140, 1144 and 1051: a message that nobody can decode keeps asynq from taking up what dead workers had, and what
// is active without a lease it never looks at.
func TestTasksThatAsynqLeavesForEverAreMended(t *testing.T) {
	t.Parallel()
	w := setup(t)
	ctx := t.Context()
	run, chunks := newRun(t, 6)
	require.NoError(t, w.launcher.Launch(ctx, run, chunks, false))
	const longAgo = 1
	spoiled, noLease := w.taken(t, run, chunks[0], longAgo), w.taken(t, run, chunks[1], 0)
	w.taken(t, run, chunks[2], longAgo)
	deleted, waiting := w.taken(t, run, chunks[3], longAgo), fmt.Sprintf("%s:%d:%s", run.ID(), run.Attempt, chunks[4].ID)
	require.NoError(t, w.Redis.HSet(ctx, "asynq:{ingest}:t:"+spoiled, "msg", "\xff\xffno message").Err())
	require.NoError(t, w.Redis.HSet(ctx, "asynq:{ingest}:t:"+waiting, "msg", "\xff\xffno message").Err())
	require.NoError(t, w.Redis.Del(ctx, "asynq:{ingest}:t:"+deleted).Err())

	strays, err := w.Queue.Strays(ctx)
	require.NoError(t, err)
	require.Equal(t, []tasks.Stray{{Queue: tasks.QueueIngest, WithoutLease: 1, WithoutTask: 1, Undecodable: []string{spoiled}}}, strays)

	w.round(t)
	until, err := w.Redis.ZScore(ctx, leasesKey, noLease).Result()
	require.NoError(t, err)
	require.InDelta(t, time.Now().Add(30*time.Second).Unix(), until, 20, "a worker that still has it can keep it")
	strays, err = w.Queue.Strays(ctx)
	require.NoError(t, err)
	require.Empty(t, strays)
	require.NoError(t, w.Redis.ZAdd(ctx, leasesKey, redis.Z{Score: longAgo, Member: noLease}).Err()) // no worker had it
	requireExact(t, w.work(t, run), 6)
	w.round(t) // the spoiled message that waited has been taken meanwhile, and its lease runs out one day
	require.NoError(t, w.Redis.ZAdd(ctx, leasesKey, redis.Z{Score: longAgo, Member: waiting}).Err())
	w.round(t)
	require.Zero(t, w.Redis.Exists(ctx, activeKey, leasesKey).Val())
}

// Hosted services forbid what only people want to know.
func TestTheQueueMonitorBearsARedisThatRefuses(t *testing.T) {
	t.Parallel()
	server := localtest.StartRedis(t, "--user", "guest", "on", ">pw", "~*", "&*", "+@all", "-memory", "-info", "-config")
	conn, err := config.ParseRedis(secret.Text("redis://guest:pw@" + server.Addr))
	require.NoError(t, err)
	queue := tasks.NewQueue(conn)
	t.Cleanup(func() { require.NoError(t, queue.Close()) })
	run, chunks := newRun(t, 2)
	require.NoError(t, queue.EnqueueChunks(t.Context(), run, chunks))
	depths, err := queue.QueueDepths()
	require.NoError(t, err)
	require.Len(t, depths, 1)
	require.Equal(t, 2, depths[0].Pending)
	m := monitor.New(conn, "/queues")
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	for _, path := range []string{"/queues/api/queues", "/queues/api/queues/ingest", "/queues/api/redis_info", "/queues/api/servers", "/queues/api/queue_stats", "/queues/api/queues/ingest/pending_tasks"} {
		answer := httptest.NewRecorder()
		m.Handler(false).ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		require.Equal(t, http.StatusOK, answer.Code, "%s: %s", path, answer.Body)
	}
}

// A task that says that it is active and is in no list, as after Redis was emptied under its worker, is enqueued again.
func TestATaskThatNobodyHasIsEnqueuedAgain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	lost := w.taken(t, run, chunks[0], 1)
	require.NoError(t, w.Redis.LRem(t.Context(), activeKey, 0, lost).Err())
	w.round(t)
	require.ErrorIs(t, w.Redis.ZScore(t.Context(), leasesKey, lost).Err(), redis.Nil, "nor is its lease left")
	requireExact(t, w.work(t, run), 2)
}

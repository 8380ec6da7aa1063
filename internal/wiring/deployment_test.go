package wiring_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
	"quantbot/internal/source/register"
	"quantbot/internal/tasks"
	"quantbot/internal/wiring"
)

// configOf is the configuration of a process that works with the Redis of one share of the engines and the ClickHouse of another.
func configOf(t *testing.T, redis, history *localtest.Env) config.Config {
	t.Helper()
	vars := history.Vars()
	vars["REDIS_URL"] = redis.RedisURL
	cfg, err := register.LoadConfig(func(name string) string { return vars[name] })
	require.NoError(t, err)
	return cfg
}

func open(t *testing.T, redis, history *localtest.Env) (*wiring.Stores, error) {
	t.Helper()
	stores, err := wiring.OpenStores(t.Context(), configOf(t, redis, history), slog.New(slog.NewTextHandler(t.Output(), nil)))
	if err == nil {
		t.Cleanup(func() { require.NoError(t, stores.Close()) })
	}
	return stores, err
}

func requireStranger(t *testing.T, err error, says ...string) {
	t.Helper()
	stranger, ok := errors.AsType[*backfill.StrangerError](err)
	require.True(t, ok, "%v", err)
	for _, words := range says {
		require.Contains(t, stranger.Reason, words)
	}
}

// ownRun is a run as the enqueuer of the harness makes it.
func (w *harness) ownRun(t *testing.T, chunks int) (backfill.Run, []backfill.Chunk) {
	t.Helper()
	run, plan := newRun(t, chunks)
	run.Manifest.DeploymentID = w.Deployment.ID()
	return run, plan
}

// Rule R13. The worker of one deployment does not start on the Redis of another, and leaves its tasks alone when it is there
// all the same: it spends no try of theirs. Both runs end exact.
func TestTwoDeploymentsOnOneRedis(t *testing.T) {
	t.Parallel()
	ours, theirs := setup(t), setup(t)
	require.NotEqual(t, uuid.Nil, ours.Deployment.ID())
	require.NotEqual(t, ours.Deployment.ID(), theirs.Deployment.ID())
	_, err := open(t, ours.env, theirs.env)
	requireStranger(t, err, ours.Deployment.ID().String(), theirs.Deployment.ID().String(), ours.env.RedisAddr)

	run, chunks := ours.ownRun(t, 4)
	require.NoError(t, ours.launcher.Launch(t.Context(), run, chunks, false))
	stray := theirs.handler()
	stray.Worker.Ledger, stray.Worker.Queue, stray.Worker.Deployment = ours.Ledger, ours.Queue, theirs.Deployment // it was there before Redis became another one
	err = stray.ProcessTask(t.Context(), ours.task(t, run, chunks[0]))
	requireStranger(t, err, "a task of type candles:fill")
	require.Equal(t, backfill.ClassForeign, backfill.ClassOf(err))

	served := make(chan error, 1)
	ctx, stop := context.WithCancel(t.Context())
	go func() {
		served <- tasks.Serve(ctx, tasks.ServerConfig{Redis: ours.conn, Concurrency: 2, ShutdownTimeout: 5 * time.Second}, stray, nil)
	}()
	require.Eventually(t, func() bool {
		info, err := ours.inspector.GetQueueInfo(tasks.QueueIngest)
		return err == nil && info.Pending == 0 && info.Active == 0 && info.Retry == 4
	}, 2*time.Minute, 20*time.Millisecond, "each goes back, for whoever it belongs to")
	stop()
	require.NoError(t, <-served)
	waiting, err := ours.inspector.ListRetryTasks(tasks.QueueIngest)
	require.NoError(t, err)
	for _, task := range waiting {
		require.Zero(t, task.Retried, "no try is spent")
	}
	_, err = ours.Queue.RunDelayedNow()
	require.NoError(t, err)
	own := ours.handler()
	own.Worker.Deployment = ours.Deployment
	requireExact(t, ours.workWith(t, own, run), 4)
	require.Equal(t, "0\n", theirs.count(t, "ohlcv_candle_versions"))
	require.Equal(t, "0\n", theirs.count(t, "ohlcv_ingestion_tasks"))

	run, chunks = theirs.ownRun(t, 3)
	require.NoError(t, theirs.launcher.Launch(t.Context(), run, chunks, false))
	own = theirs.handler()
	own.Worker.Deployment = theirs.Deployment
	requireExact(t, theirs.workWith(t, own, run), 3)
}

// workWith is work with a handler.
func (w *harness) workWith(t *testing.T, handler *tasks.Handler, run backfill.Run) backfill.RunRecord {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- tasks.Serve(ctx, tasks.ServerConfig{Redis: w.conn, Concurrency: 2, ShutdownTimeout: 5 * time.Second}, handler, nil)
	}()
	defer func() {
		stop()
		require.NoError(t, <-served)
	}()
	return w.ended(t, run)
}

// signing shows that the harness's Redis is in use, as its workers would, until the returned function is called.
func (w *harness) signing(t *testing.T) (stop func()) {
	t.Helper()
	redis, err := w.Ledger.Binding(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	var signing sync.WaitGroup
	sign := func() {
		_, err := w.History.RecordRedisPresence(ctx, w.Deployment.ID(), redis, false)
		if ctx.Err() == nil {
			require.NoError(t, err)
		}
	}
	sign()
	signing.Go(func() {
		ticker := time.NewTicker(200 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				sign()
			}
		}
	})
	return func() { cancel(); signing.Wait() }
}

// Rule R13. A second Redis on a ClickHouse that is in use is refused, so that nothing of a live run is fetched twice. When the
// first is gone, the deployment goes on with the second (R9), and the first is refused with the state that it still has.
func TestTwoRedisOnOneClickHouse(t *testing.T) {
	t.Parallel()
	first, second := setup(t), localtest.New(t)
	run, chunks := first.ownRun(t, 4)
	require.NoError(t, first.launcher.Launch(t.Context(), run, chunks, false))
	own := first.handler()
	own.Worker.Deployment = first.Deployment
	require.NoError(t, own.ProcessTask(t.Context(), first.task(t, run, chunks[0])))

	stop := first.signing(t)
	_, err := open(t, second, first.env)
	requireStranger(t, err, first.env.RedisAddr, fmt.Sprintf("%s/%d", second.RedisAddr, second.RedisDB), "CLICKHOUSE_DATABASE")
	require.Equal(t, "0\n", first.env.ClickHouse(t, "SELECT count() FROM "+first.env.Database+".ohlcv_deployment_redis WHERE adoption > 1"))
	stop()

	// Its last process takes its leave.
	redis, err := first.Ledger.Binding(t.Context())
	require.NoError(t, err)
	_, err = first.History.RecordRedisPresence(t.Context(), first.Deployment.ID(), redis, true)
	require.NoError(t, err)
	stores, err := open(t, second, first.env)
	require.NoError(t, err)
	require.Equal(t, first.Deployment.ID(), stores.Deployment.ID())
	requireStranger(t, first.Deployment.Check(t.Context()), "went on with the Redis at")
	require.Equal(t, backfill.ClassForeign, backfill.ClassOf(own.ProcessTask(t.Context(), first.task(t, run, chunks[1]))))
	_, err = open(t, first.env, first.env)
	requireStranger(t, err, "FLUSHDB")

	next := harnessOver(t, stores, second, first.env)
	next.source = first.source
	next.round(t)
	first.round(t)
	own = next.handler()
	own.Worker.Deployment = next.Deployment
	requireExact(t, next.workWith(t, own, run), 4)
	for _, chunk := range chunks {
		require.Equal(t, 1, first.source.times(chunk.Range), "nothing is paid twice")
	}
}

// harnessOver is a harness over the Redis of one share of the engines and the ClickHouse of another.
func harnessOver(t *testing.T, stores *wiring.Stores, redis, history *localtest.Env) *harness {
	t.Helper()
	env := *history
	env.RedisURL, env.RedisAddr, env.RedisDB = redis.RedisURL, redis.RedisAddr, redis.RedisDB
	return newHarness(t, stores, &env)
}

// A Redis that was emptied is the deployment's again at once, for processes that run and for those that start.
func TestAnEmptiedRedisStaysTheDeployments(t *testing.T) {
	t.Parallel()
	w := setup(t)
	defer w.signing(t)()
	before, err := w.Ledger.Binding(t.Context())
	require.NoError(t, err)
	w.env.Redis(t, "FLUSHDB")
	require.NoError(t, w.Deployment.Check(t.Context()))
	w.env.Redis(t, "FLUSHDB")
	_, err = open(t, w.env, w.env)
	require.NoError(t, err)
	after, err := w.Ledger.Binding(t.Context())
	require.NoError(t, err)
	require.Equal(t, before.ID, after.ID)
}

// A copy of the database has the id of the one that it was made of, and none of the signs of life that are written there.
func TestACopyOfTheDatabaseIsRecognized(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := w.ownRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	own := w.handler()
	own.Worker.Deployment = w.Deployment
	require.NoError(t, own.ProcessTask(t.Context(), w.task(t, run, chunks[0])))
	copied := localtest.New(t)
	_, err := open(t, copied, copied) // makes the tables
	require.NoError(t, err)
	for _, table := range []string{"ohlcv_deployments", "ohlcv_deployment_redis", "ohlcv_run_lifecycle", "ohlcv_ingestion_tasks", "ohlcv_candle_versions"} {
		w.env.ClickHouse(t, fmt.Sprintf("TRUNCATE TABLE %s.%s", copied.Database, table))
		w.env.ClickHouse(t, fmt.Sprintf("INSERT INTO %[1]s.%[2]s SELECT * FROM %[3]s.%[2]s", copied.Database, table, w.env.Database))
	}
	copied.Redis(t, "FLUSHDB")
	require.NoError(t, w.Ledger.RecordPresence(t.Context(), "a worker", time.Now()))
	_, err = open(t, w.env, copied)
	requireStranger(t, err, "migrate --new-deployment")

	stores, err := open(t, copied, copied)
	require.NoError(t, err, "it has the same id, which doctor says")
	require.Equal(t, w.Deployment.ID(), stores.Deployment.ID())
	id, err := stores.History.NewDeployment(t.Context(), "ada@lab")
	require.NoError(t, err)
	requireStranger(t, stores.Deployment.Check(t.Context()), id.String())
	copied.Redis(t, "FLUSHDB")
	require.NoError(t, stores.Deployment.Check(t.Context()))
	require.Equal(t, id, stores.Deployment.ID())
	next := harnessOver(t, stores, copied, copied)
	next.round(t)
	_, err = stores.Ledger.State(t.Context(), run.ID())
	require.ErrorIs(t, err, backfill.ErrUnknownRun, "the run goes on elsewhere")
	require.NoError(t, backfill.EndCopied(t.Context(), stores.History, run, time.Now()))
	record, err := stores.History.Run(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, backfill.StatusFailed, record.Status)
	require.EqualValues(t, 1, record.Stats.Inserted)
	require.Equal(t, 1, record.CancelledChunks)
	retried, err := stores.Retrier(w.logger, time.Now).Retry(t.Context(), run.ID(), false)
	require.NoError(t, err)
	require.Equal(t, id, retried.Manifest.DeploymentID)
}

// logs collects what a worker says.
type logs struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logs) times(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.buf.String(), words)
}

// A running worker whose Redis becomes another one stops taking tasks, says so once, and goes on when it is its own again.
func TestARunningWorkerLeavesAnotherRedisAlone(t *testing.T) {
	t.Parallel()
	w := setup(t)
	said := &logs{}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- wiring.RunWorker(ctx, wiring.WorkerConfig{
			Config: configOf(t, w.env, w.env), Build: manifest.CurrentBuild(), Concurrency: 2, ShutdownTimeout: 5 * time.Second, SweepCron: "off",
			Logger: slog.New(slog.NewTextHandler(said, nil)), Now: time.Now,
		})
	}()
	defer func() {
		stop()
		require.NoError(t, <-ended)
	}()
	workers := func() int {
		n, err := w.Queue.Workers()
		require.NoError(t, err)
		return n
	}
	require.Eventually(t, func() bool { return workers() == 1 }, 2*time.Minute, 50*time.Millisecond)
	require.NoError(t, w.Redis.HSet(t.Context(), "quantbot:deployment", "deployment", uuid.NewString()).Err())
	require.Eventually(t, func() bool { return workers() == 0 }, 2*time.Minute, 50*time.Millisecond)
	require.Eventually(t, func() bool { return said.times("leaving both alone") == 1 }, 2*time.Minute, 50*time.Millisecond)
	require.NoError(t, w.Redis.HSet(t.Context(), "quantbot:deployment", "deployment", w.Deployment.ID().String()).Err())
	require.Eventually(t, func() bool { return workers() == 1 }, 2*time.Minute, 50*time.Millisecond)
}

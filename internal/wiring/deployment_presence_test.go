package wiring_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"testing"

	"github.com/google/uuid"
	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/local/localtest"
	"quantbot/internal/secret"
	"quantbot/internal/tasks"
	"quantbot/internal/wiring"
)

// Rule 12.10. A database and a Redis of before there were ids, with a run pending, end exact.
func TestAPairOfBeforeThereWereDeploymentsGoesOn(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	deleted, err := w.inspector.DeleteAllPendingTasks(tasks.QueueIngest)
	require.NoError(t, err)
	require.Equal(t, 3, deleted)
	client := asynq.NewClient(w.conn)
	for _, chunk := range chunks {
		payload := fmt.Sprintf(`{"v":1,"run_id":%q,"attempt":1,"chunk_id":%q,"chain":%q,"address":%q,"interval":"1m","from":%d,"to":%d}`,
			run.ID(), chunk.ID, chunk.Token.Chain, chunk.Token.Address, chunk.Range.From, chunk.Range.To)
		_, err := client.EnqueueContext(t.Context(), asynq.NewTask(tasks.TypeFill, []byte(payload)),
			asynq.TaskID(fmt.Sprintf("%s:1:%s", run.ID(), chunk.ID)), asynq.Queue(tasks.QueueIngest))
		require.NoError(t, err)
	}
	require.NoError(t, client.Close())
	require.NoError(t, w.Redis.Del(t.Context(), "quantbot:deployment").Err())
	for _, table := range []string{"ohlcv_deployments", "ohlcv_deployment_redis", "ohlcv_deployment_signs"} {
		w.env.ClickHouse(t, "DROP TABLE "+w.env.Database+"."+table+" SYNC")
	}
	w.env.ClickHouse(t, "ALTER TABLE "+w.env.Database+".ohlcv_schema_versions DELETE WHERE version_id >= 26 SETTINGS mutations_sync = 1")

	stores, err := open(t, w.env, w.env)
	require.NoError(t, err)
	require.NotEqual(t, uuid.Nil, stores.Deployment.ID())
	next := harnessOver(t, stores, w.env, w.env)
	next.round(t)
	own := next.handler()
	own.Worker.Deployment = next.Deployment
	requireExact(t, next.workWith(t, own, run), 3)
}

// signsMeanwhile is a Redis whose processes show life for the first time just before, or after, somebody looks whose it is.
type signsMeanwhile struct {
	backfill.DeploymentLedger
	before, after func()
}

func (s signsMeanwhile) Binding(ctx context.Context) (backfill.RedisBinding, error) {
	s.before()
	defer s.after()
	return s.DeploymentLedger.Binding(ctx)
}

// Redis and ClickHouse are not asked at one moment: what is signed in between makes no copy of the database.
func TestASignBetweenTwoLooksIsNoCopy(t *testing.T) {
	t.Parallel()
	nothing := func() {}
	for name, meanwhile := range map[string]func(sign func()) (before, after func()){
		"before": func(sign func()) (before, after func()) { return sign, nothing },
		"after":  func(sign func()) (before, after func()) { return nothing, sign },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			redis, err := w.Ledger.Binding(t.Context())
			require.NoError(t, err)
			guard := backfill.NewDeploymentGuard(w.Deployment.GuardConfig)
			before, after := meanwhile(func() {
				at, err := w.History.RecordRedisPresence(t.Context(), w.Deployment.ID(), redis, false)
				require.NoError(t, err)
				require.NoError(t, w.Ledger.RecordPresence(t.Context(), "a worker", at))
			})
			guard.Ledger = signsMeanwhile{w.Ledger, before, after}
			require.NoError(t, guard.Check(t.Context()))
		})
	}
}

// The first process of a deployment may be one whose user of ClickHouse may not write: it starts, and waits for that where
// everybody sees it. Whoever may write later adopts the same Redis.
func TestAUserThatMayOnlyReadIsNoStranger(t *testing.T) {
	t.Parallel()
	env := localtest.New(t)
	cfg := configOf(t, env, env)
	history, err := wiring.OpenHistory(t.Context(), cfg, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	_, err = history.Migrate(t.Context())
	require.NoError(t, err)
	require.NoError(t, history.Close())

	reading := cfg
	dsn := url.URL{Scheme: "clickhouse", User: url.UserPassword(cfg.ClickHouse.User, cfg.ClickHouse.Password.Reveal()),
		Host: net.JoinHostPort(cfg.ClickHouse.Host, strconv.Itoa(cfg.ClickHouse.Port)), Path: env.Database, RawQuery: "readonly=2"}
	reading.ClickHouse.DSN = secret.Text(dsn.String())
	reader, err := wiring.OpenStores(t.Context(), reading, slog.New(slog.NewTextHandler(t.Output(), nil)))
	require.NoError(t, err)
	defer func() { require.NoError(t, reader.Close()) }()
	require.NoError(t, reader.Deployment.Check(t.Context()))
	binding, err := reader.Ledger.Binding(t.Context())
	require.NoError(t, err)
	require.Equal(t, reader.Deployment.ID(), binding.DeploymentID)
	require.Equal(t, "0\n", env.ClickHouse(t, "SELECT count() FROM "+env.Database+".ohlcv_deployment_redis"))

	_, err = open(t, env, env)
	require.NoError(t, err)
	require.Equal(t, binding.ID.String()+"\n", env.ClickHouse(t, "SELECT redis_id FROM "+env.Database+".ohlcv_deployment_redis"))
	require.NoError(t, reader.Deployment.Check(t.Context()))
}

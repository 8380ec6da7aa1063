package wiring_test

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/clickhousetest"
	"quantbot/internal/config"
	"quantbot/internal/local/localtest"
	"quantbot/internal/manifest"
	"quantbot/internal/secret"
	"quantbot/internal/source/register"
	"quantbot/internal/tasks"
	"quantbot/internal/wiring"
)

func TestMain(m *testing.M) { localtest.Main(m) }

// oneCandle is a source that has one candle at the begin of every range, and counts how often it was asked for each.
type oneCandle struct {
	mu    sync.Mutex
	asked map[candle.Range]int
}

func (*oneCandle) Name() string { return "one" }

func (*oneCandle) Cost(candle.Interval, candle.Range) (c backfill.Cost) { return c }

func (*oneCandle) Cut(candle.Interval) backfill.Cut { return backfill.Pages(5_000) }

func (*oneCandle) SettleDelay() time.Duration { return 0 }

func (*oneCandle) Supports(candle.Chain, candle.Interval) error { return nil }

func (o *oneCandle) Candles(_ context.Context, _ candle.Token, _ candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		o.mu.Lock()
		o.asked[r]++
		o.mu.Unlock()
		c := candle.Candle{OpenTime: r.From, Open: 1, High: 1, Low: 1, Close: 1, Volume: 1}
		yield(backfill.Page{Candles: []candle.Candle{c}, APICalls: 1}, nil)
	}
}

// times is how often the source was asked for the range.
func (o *oneCandle) times(r candle.Range) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.asked[r]
}

// harness is one test's stores and the processes over them, without any worker running.
type harness struct {
	*wiring.Stores
	env        *localtest.Env
	reconciler *backfill.Reconciler
	launcher   *backfill.Launcher
	inspector  *asynq.Inspector
	conn       asynq.RedisConnOpt
	source     *oneCandle
	// through, if set, is asked in its place by the workers of work.
	through backfill.Source
	writer  *clickhouse.Writer
	logger  *slog.Logger
}

func setup(t testing.TB) *harness {
	t.Helper()
	return setupOn(t, clickhousetest.New(t))
}

func setupOn(t testing.TB, env *localtest.Env) *harness {
	t.Helper()
	vars := env.Vars()
	cfg, err := register.LoadConfig(func(name string) string { return vars[name] })
	require.NoError(t, err)
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	stores, err := wiring.OpenStores(t.Context(), cfg, logger)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	return newHarness(t, stores, env)
}

func newHarness(t testing.TB, stores *wiring.Stores, env *localtest.Env) *harness {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), nil))
	conn, err := config.ParseRedis(secret.Text(env.RedisURL))
	require.NoError(t, err)
	w := &harness{Stores: stores, env: env, launcher: stores.Launcher(logger, time.Now), inspector: asynq.NewInspector(conn), conn: conn,
		source: &oneCandle{asked: make(map[candle.Range]int)}, writer: clickhouse.NewWriter(stores.History), logger: logger}
	t.Cleanup(w.writer.Close)
	t.Cleanup(func() { require.NoError(t, w.inspector.Close()) })
	w.reconciler = stores.Reconciler("test", logger, time.Now)
	return w
}

func newRun(t testing.TB, chunks int) (backfill.Run, []backfill.Chunk) {
	t.Helper()
	m, err := manifest.New(manifest.Manifest{
		Source: "one", Interval: candle.Interval1m, Validation: candle.Lenient, DedupMode: manifest.DedupNone,
		InputHash: fmt.Sprintf("%064d", time.Now().UnixNano()), Range: candle.Range{From: 0, To: 3_600},
	}, manifest.CurrentBuild(), time.Now())
	require.NoError(t, err)
	var list []backfill.Chunk
	token := candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}
	for i := range int64(chunks) {
		list = append(list, backfill.NewChunk(token, candle.Interval1m, candle.Range{From: i * 3_600, To: (i + 1) * 3_600}))
	}
	return backfill.Run{Manifest: m, Attempt: 1, PlannedChunks: chunks}, list
}

// work runs a worker over the stores until the run has a result, and returns the run's row.
func (w *harness) work(t *testing.T, run backfill.Run) (record backfill.RunRecord) {
	t.Helper()
	w.workUntil(t, func() { record = w.ended(t, run) })
	return record
}

// only is the source of a filler that has one.
func only(source backfill.Source) backfill.SourceFunc {
	return func(string, *manifest.Manifest) (backfill.Source, error) { return source, nil }
}

// handler is a worker's.
func (w *harness) handler() *tasks.Handler {
	worker := &backfill.Worker{
		Ledger: w.Ledger, History: w.History, Queue: w.Queue, Logger: w.logger, Leases: &backfill.Leases{Ledger: w.Ledger, Logger: w.logger},
		Filler: &backfill.Filler{Source: only(w.source), Store: w.writer, Worker: "w", Version: "v", Clock: backfilltest.HostClock(time.Now)},
	}
	return &tasks.Handler{Worker: worker, Finisher: w.Finisher(w.logger, time.Now), Logger: w.logger}
}

func (w *harness) workUntil(t *testing.T, wait func()) {
	t.Helper()
	handler := w.handler()
	if w.through != nil {
		handler.Worker.Filler.Source = only(w.through)
	}
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- tasks.Serve(ctx, tasks.ServerConfig{Redis: w.conn, Concurrency: 2, ShutdownTimeout: 5 * time.Second}, handler, nil)
	}()
	defer func() {
		cancel()
		require.NoError(t, <-served)
	}()
	wait()
}

func (w *harness) ended(t *testing.T, run backfill.Run) (record backfill.RunRecord) {
	t.Helper()
	require.Eventually(t, func() bool {
		var err error
		record, err = w.History.Run(t.Context(), run.ID())
		return err == nil && record.Status != backfill.StatusRunning
	}, 2*time.Minute, 20*time.Millisecond)
	return record
}

func (w *harness) round(t *testing.T) {
	t.Helper()
	require.NoError(t, w.reconciler.Round(t.Context()))
}

// stale makes the ledger believe that the launching process was last seen a minute ago.
func (w *harness) stale(t *testing.T, run backfill.Run) {
	t.Helper()
	key := "quantbot:{" + run.ID().String() + "}:meta"
	at := time.Now().Add(-time.Minute).UnixMicro()
	require.NoError(t, w.Redis.HSet(t.Context(), key, "heartbeat_us", at).Err())
}

func requireExact(t *testing.T, record backfill.RunRecord, chunks int64) {
	t.Helper()
	require.Equal(t, backfill.StatusCompleted, record.Status, record.ErrorMessage)
	require.Equal(t, chunks, record.Stats.Inserted)
	require.True(t, record.Stats.Balanced())
}

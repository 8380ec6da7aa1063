package wiring

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/fleet"
	"quantbot/internal/manifest"
	"quantbot/internal/metrics"
	"quantbot/internal/services"
	"quantbot/internal/source/register"
	"quantbot/internal/tasks"
)

// DefaultConcurrency is how many tasks a worker runs at once. Tasks mostly wait: for the source (at 300 ms an answer, 16
// make about 50 requests a second, the largest common allowance), and for the insert that they share. The more share it,
// the less ClickHouse has to do: with 32 tasks it takes half of what it takes with 16, with 64 a third.
const DefaultConcurrency = 32

// chunkMemory is how much memory the chunks that a worker has in hand may take: ten chunks of 20,000 candles, or all tasks
// with a day of minutes each.
const chunkMemory = 24 << 20

// WorkerConfig configures RunWorker.
type WorkerConfig struct {
	Config      config.Config
	Build       manifest.Build
	Concurrency int
	// ShutdownTimeout is how long running tasks may go on after ctx has ended; 0 = the server's default.
	ShutdownTimeout time.Duration
	// SweepCron says when redundant versions are swept, in UTC; empty = as configured, "off" = never by this worker.
	SweepCron string
	// MetricsAddr is where metrics and health are served; empty = nowhere.
	MetricsAddr string
	// StopNow, when closed, interrupts running tasks at once.
	StopNow <-chan struct{}
	Logger  *slog.Logger
	Now     func() time.Time
}

// RunWorker takes tasks until ctx ends, then stops gracefully. Its error means that it could not start.
func RunWorker(ctx context.Context, cfg WorkerConfig) (err error) {
	watch, err := openWatch(ctx, cfg)
	if err != nil {
		return err
	}
	defer watch.close()
	stores, err := OpenStores(ctx, cfg.Config, cfg.Logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	if err := stores.Deployment.AskServices(ctx, services.Of(cfg.Config, register.Names()...)); err != nil {
		return err
	}
	warnAboutRedis(ctx, stores, cfg.Logger)
	warnAboutKeys(ctx, cfg.Config, cfg.Logger)
	name := workerName()
	logger := cfg.Logger.With("worker", name)
	sources := &Sources{
		Config: cfg.Config, Version: cfg.Build.Version, Redis: stores.Redis, Member: name, Concurrency: cfg.Concurrency, Logger: logger, Now: cfg.Now,
	}
	clock := stores.Clock(cfg.Now)
	if _, err := clock.Ask(ctx); err != nil { // so that the first times that are written are the stores'
		return err
	}
	writer := clickhouse.NewWriter(stores.History)
	defer writer.Close()
	leases := &backfill.Leases{Ledger: stores.Ledger, Logger: logger}
	m := NewMetrics(stores, cfg.Config, cfg.Build, leases.Held, cfg.Now)
	sources.Metrics = m
	stores.History.OnInsert(m.Inserting)
	gate := storeGate(ctx, stores, logger, cfg.Now)
	waits := &backfill.Waits{
		Ledger: stores.Ledger, Store: stores.storeWaiting(gate), Source: sources.Waiting, Worker: name, Logger: logger, Now: cfg.Now,
	}
	m.WatchWaits(func() []backfill.Wait {
		return fleet.WithOutages(waits.Current(), stores.Fleet.Outages(backfill.SilentAfter))
	}, cfg.Now)
	seen := observed{metrics: m, traced: cfg.Config.Traces, now: cfg.Now}
	worker := &backfill.Worker{
		Ledger: seen.fillLedger(stores.Ledger), Leases: leases, History: fillHistory{stores.History, writer}, Queue: stores.Queue,
		Deployment: stores.Deployment, Logger: logger,
		Filler: &backfill.Filler{
			Source: seen.source(sources.Source), Store: seen.store(writer), Memory: backfill.NewMemoryLimiter(chunkMemory),
			Gate: gate, Waits: waits, Worker: name, Version: cfg.Build.Version, Clock: clock,
			Secrets: secretsOf(cfg.Config),
		},
	}
	handler := &tasks.Handler{
		Worker: worker, Finisher: stores.Finisher(logger, clock.Now), Logger: logger,
		Sweep: sweeper(stores, cfg.Config.RollbackWindow, name, logger, cfg.Now),
	}
	stop := background{
		stores: stores, cfg: cfg, name: name, logger: logger, metrics: m, leases: leases, waits: waits, watch: watch, clock: clock,
	}.start(ctx)
	defer stop()
	logger.InfoContext(ctx, "worker started", "concurrency", cfg.Concurrency, "version", cfg.Build.Version, "deployment", stores.Deployment.ID())
	err = serve(ctx, cfg, stores.Deployment, handler, logger)
	logger.InfoContext(ctx, "worker stopped")
	return err
}

// background is what a worker does beside its tasks.
type background struct {
	stores  *Stores
	cfg     WorkerConfig
	name    string
	logger  *slog.Logger
	metrics *metrics.Metrics
	leases  *backfill.Leases
	waits   *backfill.Waits
	watch   *watch
	clock   *backfill.Clock
}

// start begins all of it; stop must be called, ends it and waits.
func (b background) start(ctx context.Context) (stop func()) {
	stopWatching := b.stores.Fleet.Watch(context.WithoutCancel(ctx), b.cfg.Now)
	reconciler := b.stores.Reconciler(b.name, b.logger, b.clock.Now)
	reconciler.Ledger = countedRepairs{b.stores.Ledger, b.metrics}
	var running sync.WaitGroup
	reconcileCtx, stopReconciling := context.WithCancel(ctx)
	running.Go(func() { reconciler.Run(reconcileCtx) })
	running.Go(func() { b.stores.Deployment.Run(reconcileCtx) })
	running.Go(func() { b.stores.sendAlerts(reconcileCtx, b.cfg, b.name, b.metrics, b.logger) })
	if spec := cmp.Or(b.cfg.SweepCron, b.cfg.Config.SweepCron); spec != "off" {
		running.Go(func() {
			if err := tasks.ScheduleSweeps(reconcileCtx, b.stores.Queue, spec, b.cfg.Now, b.logger); err != nil {
				b.logger.ErrorContext(ctx, "sweeps are not scheduled", "err", err)
			}
		})
	}
	// Leases are kept until the last task has ended, which is after ctx has.
	leaseCtx, stopLeases := context.WithCancel(context.WithoutCancel(ctx))
	running.Go(func() { b.leases.Run(leaseCtx) })
	running.Go(func() { b.waits.Run(leaseCtx) })
	running.Go(func() { b.watch.serve(leaseCtx, b.metrics, b.stores, b.logger) })
	return func() {
		stopLeases()
		stopReconciling()
		stopWatching()
		running.Wait()
	}
}

// storeWaiting is what the store keeps chunks waiting with; while no chunk shows it, what pings of it show.
func (s *Stores) storeWaiting(gate *backfill.StoreGate) func() (backfill.Wait, bool) {
	return func() (backfill.Wait, bool) {
		if wait, ok := gate.Waiting(); ok {
			return wait, true
		}
		return s.Fleet.OutageOf(backfill.StoreName)
	}
}

// storeGate is closed from the start when the user is known not to be able to store candles: nothing is bought until it is.
func storeGate(ctx context.Context, stores *Stores, logger *slog.Logger, now func() time.Time) *backfill.StoreGate {
	gate := &backfill.StoreGate{Check: stores.History.CheckWritable, Logger: logger, Now: now}
	if err := stores.History.CheckWritable(ctx); err != nil {
		gate.Refuse(ctx, err)
	}
	return gate
}

// fillHistory reads the history, and writes outcomes together with what other chunks of this process leave.
type fillHistory struct {
	*clickhouse.DB
	writer *clickhouse.Writer
}

var _ backfill.FillHistory = fillHistory{}

// RecordOutcomes implements backfill.FillHistory.
func (h fillHistory) RecordOutcomes(ctx context.Context, run backfill.Run, outcomes []backfill.Outcome) error {
	return h.writer.RecordOutcomes(ctx, run, outcomes)
}

// serve takes tasks until ctx ends, and none while this worker is a stranger to Redis or ClickHouse: it would take tasks only
// to put them back, before those that they belong to get at them.
func serve(ctx context.Context, cfg WorkerConfig, deployment *backfill.DeploymentGuard, handler *tasks.Handler, logger *slog.Logger) error {
	for {
		serving, stop := deployment.While(ctx)
		err := tasks.Serve(serving, tasks.ServerConfig{
			Redis: RedisOf(cfg.Config), Concurrency: cfg.Concurrency, ShutdownTimeout: cfg.ShutdownTimeout, Logger: logger,
		}, handler, cfg.StopNow)
		stop()
		if err != nil || !deployment.Await(ctx) {
			return err
		}
	}
}

// sweeper removes redundant versions, one slice at a time under the lock.
func sweeper(stores *Stores, window time.Duration, name string, logger *slog.Logger, now func() time.Time) func(context.Context) error {
	operator := stores.Operator(name, logger, now)
	return func(ctx context.Context) error {
		swept, err := operator.Sweep(ctx, backfill.SweepRequest{Window: window, By: name})
		var versions, redundant, purged int64
		for _, m := range swept {
			versions, redundant, purged = versions+m.Versions, redundant+m.Redundant, purged+m.Purged
		}
		logger.InfoContext(ctx, "swept", "months", len(swept), "versions", versions, "redundant", redundant, "purged", purged)
		return err
	}
}

// workerName is unique among living workers of one deployment: containers have host names of their own.
func workerName() string {
	host, err := os.Hostname()
	if err != nil {
		host = manifest.Unknown
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

func warnAboutKeys(ctx context.Context, cfg config.Config, logger *slog.Logger) {
	for _, name := range register.Names() {
		if source := cfg.Sources[name]; source.KeyMissing() {
			logger.WarnContext(ctx, "no API key: set the variable, or every chunk from the source fails", "source", name, "variable", source.Settings.Key)
		}
	}
}

func warnAboutRedis(ctx context.Context, stores *Stores, logger *slog.Logger) {
	warnings, err := stores.Ledger.Check(ctx)
	if err != nil {
		logger.WarnContext(ctx, "redis settings not readable", "err", err)
	}
	for _, w := range warnings {
		logger.WarnContext(ctx, "redis setting risks runs", "setting", w.Setting, "value", w.Value, "advice", w.Advice)
	}
}

package wiring

import (
	"context"
	"log/slog"
	"net"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/fleet"
	"quantbot/internal/ledger"
	"quantbot/internal/manifest"
	"quantbot/internal/metrics"
	"quantbot/internal/source/budget"
	"quantbot/internal/source/service"
	"quantbot/internal/tracing"
)

// NewMetrics returns the metrics of a process over these stores. leases is how many chunks it has in hand; nil for a
// process that is no worker.
func NewMetrics(stores *Stores, cfg config.Config, build manifest.Build, leases func() int, now func() time.Time) *metrics.Metrics {
	m := metrics.New(build.Version, build.GitCommitHash)
	m.Register(stores.Queue.Collector())
	m.Watch(metrics.State{
		Leases: leases, Now: now,
		Runs: func(ctx context.Context) (metrics.RunCounts, error) {
			counts, faulty, err := stores.Reports().RunCounts(ctx, now().Add(-24*time.Hour), cfg.Alerts.ErrorRate)
			return metrics.RunCounts{ByStatus: counts, Faulty: faulty}, err
		},
		Accounts: func(ctx context.Context) ([]metrics.AccountCount, error) {
			all, err := budget.List(ctx, stores.Redis)
			if err != nil {
				return nil, err
			}
			shown, err := stores.Ledger.Waits(ctx)
			return countAccounts(all, shown, now()), err
		},
		SweptAt: stores.Ledger.SweptAt,
	})
	return m
}

// countAccounts counts each source's accounts by state.
func countAccounts(all []budget.Status, shown []backfill.Wait, now time.Time) []metrics.AccountCount {
	type key struct {
		source string
		state  backfill.AccountState
	}
	counts := make(map[key]int)
	for _, s := range all {
		for _, state := range backfill.AccountStates() {
			counts[key{s.Source, state}] += 0 // a state without accounts is shown as 0, not left out
		}
		counts[key{s.Source, backfill.AccountStateOf(fleet.AccountWaits(s, shown, now))}]++
	}
	list := make([]metrics.AccountCount, 0, len(counts))
	for k, n := range counts {
		list = append(list, metrics.AccountCount{Source: k.source, State: string(k.state), Count: n})
	}
	return list
}

// ReadyChecks ask the stores whether they answer.
func (s *Stores) ReadyChecks() []metrics.Check {
	return []metrics.Check{
		{Name: "redis", Ping: func(ctx context.Context) error { return s.Redis.Ping(ctx).Err() }},
		{Name: "clickhouse", Ping: s.History.Ping},
	}
}

// noteSwept remembers that a sweep succeeded. It is for people to see: without Redis it is not remembered.
func (s *Stores) noteSwept(ctx context.Context, now time.Time, logger *slog.Logger) {
	if err := s.Ledger.NoteSwept(ctx, now); err != nil {
		logger.WarnContext(ctx, "not noted that the sweep succeeded", "err", err)
	}
}

// watch is how a worker can be looked at from outside: where its metrics are served and its traces sent.
type watch struct {
	listener   net.Listener // nil = metrics are served nowhere
	stopTraces func()
}

// openWatch opens the address before anything else starts, so that a wrong one is reported at once.
func openWatch(ctx context.Context, cfg WorkerConfig) (*watch, error) {
	w := &watch{}
	if cfg.MetricsAddr != "" {
		var lc net.ListenConfig
		listener, err := lc.Listen(ctx, "tcp", cfg.MetricsAddr)
		if err != nil {
			return nil, ListenError("--metrics-addr", cfg.MetricsAddr, err)
		}
		w.listener = listener
	}
	stop, err := StartTraces(ctx, "quantbot-worker", cfg.Config, cfg.Build, cfg.Logger, cfg.Now)
	if err != nil {
		w.closeListener()
		return nil, err
	}
	w.stopTraces = stop
	return w, nil
}

func (w *watch) close() {
	w.closeListener()
	w.stopTraces()
}

func (w *watch) closeListener() {
	if w.listener != nil {
		_ = w.listener.Close() // served or not, there is nothing to lose
	}
}

// serve serves until ctx ends.
func (w *watch) serve(ctx context.Context, m *metrics.Metrics, stores *Stores, logger *slog.Logger) {
	if w.listener == nil {
		return
	}
	logger.InfoContext(ctx, "metrics served", "addr", w.listener.Addr().String())
	if err := metrics.Serve(ctx, w.listener, metrics.Mux(m.Registry(), stores.ReadyChecks()...), logger); err != nil {
		logger.ErrorContext(ctx, "metrics no longer served", "err", err)
	}
}

// observed has a worker's steps counted and traced.
type observed struct {
	metrics *metrics.Metrics
	traced  bool
	now     func() time.Time
}

func (o observed) fillLedger(l backfill.FillLedger) backfill.FillLedger {
	l = o.metrics.FillLedger(l)
	if o.traced {
		l = tracing.FillLedger(l)
	}
	return l
}

func (o observed) store(s backfill.CandleStore) backfill.CandleStore {
	if o.traced {
		s = tracing.Store(s)
	}
	return s
}

func (o observed) source(open backfill.SourceFunc) backfill.SourceFunc {
	if !o.traced {
		return open
	}
	return func(name string, m *manifest.Manifest) (backfill.Source, error) {
		source, err := open(name, m)
		if err != nil {
			return nil, err
		}
		return tracing.Source(source, o.now), nil
	}
}

// countedRepairs counts what a reconciler does.
type countedRepairs struct {
	*ledger.Ledger
	metrics *metrics.Metrics
}

// Count implements backfill.ReconcileLedger.
func (l countedRepairs) Count(ctx context.Context, runID uuid.UUID, action backfill.RepairAction, n int) error {
	l.metrics.Repaired(action, n)
	return l.Ledger.Count(ctx, runID, action, n)
}

// countedBudget counts the waits for a budget.
type countedBudget struct {
	service.Budget
	source  string
	metrics *metrics.Metrics
}

// Wait implements service.Budget.
func (b countedBudget) Wait(ctx context.Context, weight int) error {
	defer b.metrics.Waiting(b.source)()
	return b.Budget.Wait(ctx, weight)
}

// Slow implements service.Budget.
func (b countedBudget) Slow(ctx context.Context, pause time.Duration) {
	b.metrics.Paused(b.source)
	b.Budget.Slow(ctx, pause)
}

// Park implements service.Budget.
func (b countedBudget) Park(ctx context.Context, pause time.Duration) {
	b.metrics.Parked(b.source)
	b.Budget.Park(ctx, pause)
}

// counted has the requests of an account followed, and counted where there are metrics.
func (s *Sources) counted(source string, account service.Account) service.Account {
	asked := s.questions(source)
	account.Sending = func() func(bool) { return asked.Ask(s.Now) }
	if s.Metrics == nil {
		return account
	}
	s.Metrics.Expect(source)
	account.Budget = countedBudget{account.Budget, source, s.Metrics}
	account.Sent = func(status int, took time.Duration) { s.Metrics.Requested(source, status, took) }
	return account
}

// Package dashboardwiring joins the dashboard to the stores. It is a package of its own because workers, which wiring joins, need
// no dashboard.
package dashboardwiring

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/coverage"
	"quantbot/internal/dashboard"
	"quantbot/internal/fleet"
	"quantbot/internal/source/budget"
	"quantbot/internal/source/register"
	"quantbot/internal/tasks/monitor"
	"quantbot/internal/wiring"
)

// Options configures New.
type Options struct {
	// Public says that the dashboard listens beyond loopback.
	Public bool
	// Private wants the token for every page on loopback, too.
	Private bool
	// Metrics serves /metrics; nil = no such page.
	Metrics http.Handler
	Logger  *slog.Logger
	Now     func() time.Time
}

// New makes a dashboard over open stores. release closes what it opened; the stores stay open.
func New(cfg config.Config, stores *wiring.Stores, o Options) (d *dashboard.Dashboard, release func() error, err error) {
	queues := monitor.New(wiring.RedisOf(cfg), "/queues")
	clock := stores.Clock(o.Now)
	d, err = dashboard.New(dashboard.Config{
		History: history{stores.Reports(), stores.History}, Live: live{stores, o.Now}, Metrics: o.Metrics, Queues: queues.Handler,
		Actions:        stores.Operator("dashboard", o.Logger, o.Now),
		RollbackWindow: cfg.RollbackWindow, Token: cfg.DashboardToken.Reveal(), Public: o.Public, Private: o.Private, Logger: o.Logger, Now: o.Now,
		Moment: func(ctx context.Context, sources []string) coverage.Moment {
			now, _ := clock.NowOrHost(ctx)
			return coverage.Moment{Now: now, SettleDelay: register.SettleDelay(sources)}
		},
	})
	if err != nil {
		_ = queues.Close() // the other error says more
		return nil, nil, err
	}
	stop := stores.Fleet.Watch(context.Background(), o.Now)
	return d, func() error { stop(); return queues.Close() }, nil
}

// history is what the dashboard reads from ClickHouse, and where it records what people did.
type history struct {
	report.Reader
	*clickhouse.DB
}

// live is what the dashboard reads from Redis.
type live struct {
	stores *wiring.Stores
	now    func() time.Time
}

func (l live) State(ctx context.Context, runID uuid.UUID) (backfill.LedgerState, error) {
	state, err := l.stores.Ledger.State(ctx, runID)
	if err == nil {
		state.Waits = l.stores.Fleet.WaitsOf(ctx, state, l.now())
	}
	return state, err
}

func (l live) Repairs(ctx context.Context, runID uuid.UUID) (map[backfill.RepairAction]int64, error) {
	return l.stores.Ledger.Repairs(ctx, runID)
}

func (l live) ActiveRuns(ctx context.Context) ([]uuid.UUID, error) {
	return l.stores.Ledger.ActiveRuns(ctx)
}

func (l live) Waits(ctx context.Context) []backfill.Wait {
	waits, err := within(ctx, func() ([]backfill.Wait, error) { return l.stores.Fleet.Waits(ctx, l.now()), nil })
	if err != nil {
		return l.stores.Fleet.Outages(time.Second)
	}
	return waits
}

func (l live) Outages(silence time.Duration) []backfill.Wait { return l.stores.Fleet.Outages(silence) }

func (l live) Ping(ctx context.Context) error { return l.stores.Redis.Ping(ctx).Err() }

func (l live) Reconciler(ctx context.Context) (map[backfill.RepairAction]int64, string, error) {
	done, err := l.stores.Ledger.AllRepairs(ctx)
	if err != nil {
		return nil, "", err
	}
	holder, err := l.stores.Ledger.LeaseHolder(ctx, backfill.DutyReconcile)
	return done, holder, err
}

func (l live) Workers(ctx context.Context) ([]dashboard.Worker, error) {
	processes, err := within(ctx, l.stores.Queue.WorkerProcesses)
	workers := make([]dashboard.Worker, len(processes))
	for i, p := range processes {
		workers[i] = dashboard.Worker{
			Name: fmt.Sprintf("%s:%d", p.Host, p.PID), Status: p.Status, Started: p.Started, Concurrency: p.Concurrency, Busy: len(p.Tasks),
		}
		for _, task := range p.Tasks {
			if workers[i].Oldest.IsZero() || task.Started.Before(workers[i].Oldest) {
				workers[i].Oldest = task.Started
			}
		}
	}
	return workers, err
}

// within gives up a question that heeds no context when ctx ends; it comes to its end by the client's own timeouts.
func within[T any](ctx context.Context, ask func() (T, error)) (T, error) {
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		value, err := ask()
		answers <- answer{value, err}
	}()
	select {
	case a := <-answers:
		return a.value, a.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (l live) QueueDepths(ctx context.Context) ([]dashboard.QueueDepth, error) {
	depths, err := within(ctx, l.stores.Queue.QueueDepths)
	queues := make([]dashboard.QueueDepth, len(depths))
	for i, q := range depths {
		queues[i] = dashboard.QueueDepth(q)
	}
	return queues, err
}

func (l live) Budgets(ctx context.Context) ([]dashboard.Budget, error) {
	all, err := budget.List(ctx, l.stores.Redis)
	if err != nil {
		return nil, err
	}
	shown, err := l.stores.Ledger.Waits(ctx)
	budgets := make([]dashboard.Budget, len(all))
	for i, b := range all {
		budgets[i] = dashboard.Budget{
			Source: b.Source, Account: b.ID, PerSecond: b.PerSecond, Configured: b.Configured, Workers: b.Workers,
			PausedUntil: b.PausedUntil, ParkedUntil: b.ParkedUntil, WaitingFor: backfill.Sentences(fleet.AccountWaits(b, shown, l.now())),
		}
	}
	return budgets, err
}

// Package board joins the dashboard to the stores. It is a package of its own because workers, which wiring joins, need
// no dashboard.
package board

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/dashboard"
	"quantbot/internal/wiring"
)

// Options configures New.
type Options struct {
	// Public tells that the dashboard listens beyond loopback.
	Public bool
	// Metrics answers /metrics; nil = no such page.
	Metrics http.Handler
	Logger  *slog.Logger
	Now     func() time.Time
}

// New makes a dashboard over open stores.
func New(cfg config.Config, stores *wiring.Stores, o Options) (*dashboard.Dashboard, error) {
	return dashboard.New(dashboard.Config{
		History: stores.History, Live: live{stores}, Metrics: o.Metrics,
		Token: cfg.DashboardToken.Reveal(), Public: o.Public, Logger: o.Logger, Now: o.Now,
	})
}

// live is what the dashboard reads from Redis.
type live struct{ stores *wiring.Stores }

func (l live) State(ctx context.Context, runID uuid.UUID) (backfill.LedgerState, error) {
	return l.stores.Ledger.State(ctx, runID)
}

func (l live) Ping(ctx context.Context) error { return l.stores.Redis.Ping(ctx).Err() }

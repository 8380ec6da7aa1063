package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
)

// withRun runs f with everything open, for the run whose id, or the beginning of it, was given.
func (a *app) withRun(ctx context.Context, text string, f func(config.Config, *wiring.Stores, uuid.UUID) error) error {
	return a.withStores(ctx, func(cfg config.Config, stores *wiring.Stores) error {
		runID, err := resolveRun(ctx, stores.History, text)
		if err != nil {
			return err
		}
		return f(cfg, stores, runID)
	})
}

// resolveRun completes the beginning of a run id.
func resolveRun(ctx context.Context, history *clickhouse.DB, text string) (uuid.UUID, error) {
	runID, err := report.New(history).ResolveRunID(ctx, text)
	switch {
	case errors.Is(err, report.ErrNoRunID):
		return uuid.Nil, usageError("%q is no run id: give one or its beginning, of at least 8 characters", text)
	case errors.Is(err, backfill.ErrUnknownRun):
		return uuid.Nil, fmt.Errorf("no run %s: see %s ohlcv runs-list", text, programName())
	}
	return runID, err
}

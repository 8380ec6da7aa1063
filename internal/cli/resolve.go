package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
)

// resolveRun completes the beginning of a run id.
func resolveRun(ctx context.Context, history *clickhouse.DB, text string) (uuid.UUID, error) {
	runID, err := history.ResolveRunID(ctx, text)
	switch {
	case errors.Is(err, clickhouse.ErrNoRunID):
		return uuid.Nil, usageError("%q is no run id: give one or its beginning, of at least 8 characters", text)
	case errors.Is(err, backfill.ErrUnknownRun):
		return uuid.Nil, fmt.Errorf("no run %s: see %s ohlcv runs-list", text, programName())
	}
	return runID, err
}

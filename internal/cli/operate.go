package cli

import (
	"context"
	"errors"
	"fmt"
	"os/user"

	"github.com/google/uuid"

	"quantbot/internal/clickhouse"
	"quantbot/internal/wiring"
)

// operator acts on runs; name is the command.
func (a *app) operator(stores *wiring.Stores, name string) *wiring.Operator {
	return &wiring.Operator{Stores: stores, Name: name, Logger: a.logger(), Now: a.now}
}

// operatorName is who acts, for the record.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// refusal turns what the state of the run forbids into exit code 3.
func refusal(runID uuid.UUID, err error) error {
	if _, impossible := errors.AsType[*clickhouse.UndoImpossibleError](err); impossible {
		return &exitError{exitRefused, fmt.Errorf("run %s: %w", runID, err)}
	}
	for _, reason := range []error{clickhouse.ErrRunning, clickhouse.ErrRolledBack, clickhouse.ErrNotRolledBack, clickhouse.ErrPurging} {
		if errors.Is(err, reason) {
			return &exitError{exitRefused, fmt.Errorf("run %s: %w", runID, err)}
		}
	}
	return err
}

// printStoredRun writes the run's row as JSON, as it is now.
func (a *app) printStoredRun(ctx context.Context, stores *wiring.Stores, runID uuid.UUID) error {
	row, err := stores.History.RunDetails(ctx, runID)
	if err != nil {
		return err
	}
	return a.printJSON(row)
}

package cli

import (
	"context"
	"errors"
	"os/user"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/operate"
	"quantbot/internal/wiring"
)

// operator acts on runs; name is the command.
func (a *app) operator(stores *wiring.Stores, name string) *operate.Operator {
	return stores.Operator(name, a.logger(), a.now)
}

// operatorName is who acts, for the record.
func operatorName() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "unknown"
}

// exitOfRefused turns what the state of a run forbids into exit code 3; other errors stay as they are.
func exitOfRefused(err error) error {
	if refused, ok := errors.AsType[*backfill.RefusedError](err); ok {
		return &exitError{exitRefused, errors.New(refused.CommandWords(programName()))}
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

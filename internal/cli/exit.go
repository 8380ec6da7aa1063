package cli

import (
	"context"
	"errors"
	"fmt"

	"quantbot/internal/backfill"
)

// Exit codes; they are part of the command line's contract.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitRunFailed   = 4
	exitInterrupted = 130
)

// exitError carries an exit code to run. Errors without one end with exitUsage before a command has started and with
// exitFailed after.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return e.err.Error() }

func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// exitCode returns what the program exits with after the error.
func (a *app) exitCode(ctx context.Context, err error) int {
	code := exitUsage
	if a.started {
		code = exitFailed
	}
	if _, stranger := errors.AsType[*backfill.StrangerError](err); stranger {
		code = exitRefused
	}
	if coded, ok := errors.AsType[*exitError](err); ok {
		code = coded.code
	}
	if ctx.Err() != nil && code == exitFailed {
		code = exitInterrupted
	}
	return code
}

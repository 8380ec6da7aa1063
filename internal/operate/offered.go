package operate

import (
	"slices"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Action is something that people do to a run.
type Action string

// The actions, by the names that addresses and the record of actions have.
const (
	Rollback Action = "rollback"
	Restore  Action = "restore"
	Retry    Action = "retry"
	Cancel   Action = "cancel"
)

// Offered returns the actions that the status of a run allows, the likeliest first.
func Offered(status backfill.RunStatus) []Action {
	switch {
	case status == backfill.StatusRunning:
		return []Action{Cancel}
	case status == backfill.StatusRolledBack:
		return []Action{Restore}
	case status.Retryable():
		return []Action{Retry, Rollback}
	case status.Ended():
		return []Action{Rollback}
	}
	return nil
}

// Allowing returns the statuses that allow the action.
func Allowing(action Action) []backfill.RunStatus {
	return slices.DeleteFunc(backfill.RunStatuses(), func(status backfill.RunStatus) bool {
		return !slices.Contains(Offered(status), action)
	})
}

// Refused returns why the status of a run does not allow the action; nil when it does.
func Refused(action Action, runID uuid.UUID, status backfill.RunStatus) *backfill.RefusedError {
	if slices.Contains(Offered(status), action) {
		return nil
	}
	return &backfill.RefusedError{Reason: reason(action, status), RunID: runID, Status: status}
}

// reason is why the status does not allow the action. What an action wants more than the others comes before its general case.
func reason(action Action, status backfill.RunStatus) backfill.RefusalReason {
	switch {
	case action == Rollback && status == backfill.StatusRunning:
		return backfill.RefusedRunning
	case action == Rollback:
		return backfill.RefusedRolledBack
	case action == Restore:
		return backfill.RefusedNotRolledBack
	case action == Retry && status == backfill.StatusRolledBack:
		return backfill.RefusedRetryRolledBack
	case action == Retry:
		return backfill.RefusedNothingToRetry
	}
	return backfill.RefusedNotRunning
}

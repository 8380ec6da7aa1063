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

// offered lists the actions that a status of a run allows, the likeliest first.
var offered = map[backfill.RunStatus][]Action{
	backfill.StatusRunning:    {Cancel},
	backfill.StatusCompleted:  {Rollback},
	backfill.StatusFailed:     {Retry, Rollback},
	backfill.StatusCancelled:  {Retry, Rollback},
	backfill.StatusRolledBack: {Restore},
}

// Offered returns the actions that the status of a run allows, the likeliest first.
func Offered(status backfill.RunStatus) []Action { return slices.Clone(offered[status]) }

// Refused returns why the status of a run does not allow the action; nil when it does.
func Refused(action Action, runID uuid.UUID, status backfill.RunStatus) *backfill.RefusedError {
	if slices.Contains(offered[status], action) {
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

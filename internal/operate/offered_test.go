package operate

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

func TestActionsThatAStatusAllows(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	var tested []backfill.RunStatus
	for _, c := range []struct {
		status                          backfill.RunStatus
		rollback, restore, retry, abort backfill.RefusalReason
	}{
		{backfill.StatusRunning, backfill.RefusedRunning, backfill.RefusedNotRolledBack, backfill.RefusedNothingToRetry, ""},
		{backfill.StatusCompleted, "", backfill.RefusedNotRolledBack, backfill.RefusedNothingToRetry, backfill.RefusedNotRunning},
		{backfill.StatusFailed, "", backfill.RefusedNotRolledBack, "", backfill.RefusedNotRunning},
		{backfill.StatusCancelled, "", backfill.RefusedNotRolledBack, "", backfill.RefusedNotRunning},
		{backfill.StatusRolledBack, backfill.RefusedRolledBack, "", backfill.RefusedRetryRolledBack, backfill.RefusedNotRunning},
	} {
		tested = append(tested, c.status)
		var allowed []Action
		for action, want := range map[Action]backfill.RefusalReason{Rollback: c.rollback, Restore: c.restore, Retry: c.retry, Cancel: c.abort} {
			refused := Refused(action, id, c.status)
			if want == "" {
				require.Nil(t, refused, "%s of a %s run", action, c.status)
				allowed = append(allowed, action)
				continue
			}
			require.Equal(t, &backfill.RefusedError{Reason: want, RunID: id, Status: c.status}, refused, "%s of a %s run", action, c.status)
		}
		require.ElementsMatch(t, allowed, Offered(c.status))
	}
	require.ElementsMatch(t, backfill.RunStatuses(), tested, "a status without a row here")
	for _, status := range backfill.RunStatuses() {
		require.NotEmpty(t, Offered(status), "what may be done to a %s run", status)
	}
}

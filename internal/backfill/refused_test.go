package backfill

import (
	"fmt"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

var refusedRun = uuid.MustParse("0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f")

// The sentences are a contract: scripts read them, and pages show them.
func TestRefusalsAreWordedForCommandsAndPages(t *testing.T) {
	t.Parallel()
	const id = "0192f0c1-5e0c-7cc0-9f5e-0a6a6d5c1b2f"
	removed := []RemovedMonth{{Month: 202401, Versions: 3}, {Month: 202402, Versions: 10}}
	gone := "versions that the undo would need have been removed (3 of 2024-01, 10 of 2024-02); --force rolls back all the same and leaves gaps there"
	for _, c := range []struct {
		refused             RefusedError
		text, command, page string
	}{
		{RefusedError{Reason: RefusedRunning}, "the run is still running: cancel it first with runs-cancel", "run " + id + ": the run is still running: cancel it first with runs-cancel", "The run is still running: cancel it first."},
		{RefusedError{Reason: RefusedUndo, Removed: removed}, gone, "run " + id + ": " + gone, gone},
		{RefusedError{Reason: RefusedNotRunning}, "The run is not running.", "run " + id + " is not running: see enqueuer ohlcv runs-details " + id, "The run is not running."},
		{RefusedError{Reason: RefusedNothingToRetry, Status: StatusCompleted}, "run " + id + " is completed: there is nothing to retry", "run " + id + " is completed: there is nothing to retry", "The run is completed: there is nothing to retry."},
		{RefusedError{Reason: RefusedRetryUnplanned, Recorded: 3, Planned: 5}, "run " + id + " has 3 of its 5 chunks on record, it ended while it was being planned: start it again with ingestion ohlcv", "run " + id + " has 3 of its 5 chunks on record, it ended while it was being planned: start it again with ingestion ohlcv", "run " + id + " has 3 of its 5 chunks on record, it ended while it was being planned: start it again with ingestion ohlcv"},
	} {
		c.refused.RunID = refusedRun
		require.Equal(t, c.text, c.refused.Error())
		require.Equal(t, c.command, c.refused.CommandWords("enqueuer"))
		require.Equal(t, c.page, c.refused.PageWords())
	}
}

func TestEveryRefusalHasWords(t *testing.T) {
	t.Parallel()
	for _, reason := range []RefusalReason{
		RefusedRunning, RefusedRolledBack, RefusedPurging, RefusedUndo, RefusedNotRolledBack, RefusedNotRunning, RefusedNothingToResume,
		RefusedNothingToRetry, RefusedRetryRunning, RefusedRetryLost, RefusedRetryRolledBack, RefusedRetryUnplanned, RefusedSameInput,
	} {
		refused := &RefusedError{Reason: reason, RunID: refusedRun}
		require.NotEmpty(t, refused.Error(), reason)
		require.NotContains(t, refused.CommandWords("enqueuer"), "{", reason)
		require.NotContains(t, refused.PageWords(), "{", reason)
	}
	require.Len(t, refusals, 13)
}

func TestRefusalOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, RefusedPurging, RefusalOf(fmt.Errorf("restore: %w", &RefusedError{Reason: RefusedPurging})))
	require.Empty(t, RefusalOf(ErrStale))
	require.Empty(t, RefusalOf(nil))
}

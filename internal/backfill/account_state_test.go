package backfill

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAccountStateOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, AccountReady, AccountStateOf(nil))
	require.Equal(t, AccountParked, AccountStateOf([]Wait{{Reason: WaitParked}, {Reason: WaitPaused}}))
	require.Equal(t, AccountPaused, AccountStateOf([]Wait{{Reason: WaitPaused}}))
	require.Equal(t, AccountWaiting, AccountStateOf([]Wait{{Reason: WaitOther}}))
	for _, waits := range [][]Wait{nil, {{Reason: WaitParked}}, {{Reason: WaitPaused}}, {{Reason: WaitOther}}} {
		require.Contains(t, AccountStates(), AccountStateOf(waits))
	}
}

// Every status is either that of a run that goes on, or of one that ended, or hidden.
func TestRunStatuses(t *testing.T) {
	t.Parallel()
	var ended []RunStatus
	for _, status := range RunStatuses() {
		if status.Ended() {
			ended = append(ended, status)
		}
	}
	require.Equal(t, []RunStatus{StatusCompleted, StatusFailed, StatusCancelled}, ended, "a status that is an end or not, other than before")
	require.Equal(t, []string{"running", "completed", "failed", "cancelled", "rolled_back"}, RunStatusNames())
}

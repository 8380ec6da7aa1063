package backfilltest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// LedgerUnderTest is an empty ledger with what tests do to it from outside.
type LedgerUnderTest struct {
	AnyLedger
	// Lose empties the store.
	Lose func()
	// Empty reports whether nothing is left in the store.
	Empty func() bool
	// ExpireLease makes the lease of a chunk run out, as time would.
	ExpireLease func(task backfill.Task)
}

// Under returns the ledger for the suite.
func (l *Ledger) Under() LedgerUnderTest {
	return LedgerUnderTest{AnyLedger: l, Lose: l.Lose, Empty: l.Empty, ExpireLease: func(task backfill.Task) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.runs[task.RunID].attempt(task.Attempt).leases[task.ChunkID] = time.Time{}
	}}
}

// RunLedgerSuite holds a ledger to what the heart relies on. open returns an empty ledger of the test's own.
func RunLedgerSuite(t *testing.T, open func(t *testing.T) LedgerUnderTest) {
	for name, check := range map[string]func(*testing.T, LedgerUnderTest){
		"model":               checkModel,
		"inputs":              checkInputs,
		"forced input":        checkForcedInput,
		"spent and tried":     checkSpentAndTried,
		"rejected candles":    checkHaltByRejected,
		"credits":             checkHaltByCredits,
		"restored outcomes":   checkRestored,
		"cancelled chunks":    checkEndCancelled,
		"duties":              checkDuties,
		"pages":               checkPages,
		"active runs":         checkActiveRuns,
		"repairs and notices": checkNotices,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t, open(t))
		})
	}
}

// seal opens the run, stores its plan and seals it.
func (l LedgerUnderTest) seal(t *testing.T, run backfill.Run, plan []backfill.Chunk) (epoch int64) {
	t.Helper()
	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan))
	_, err = l.Seal(t.Context(), run.ID(), epoch)
	require.NoError(t, err)
	return epoch
}

func (l LedgerUnderTest) record(t *testing.T, run backfill.Run, epoch int64, outcome backfill.Outcome) backfill.Recorded {
	t.Helper()
	task := backfill.Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: outcome.ChunkID}
	recorded, err := l.Record(t.Context(), task, epoch, outcome)
	require.NoError(t, err)
	return recorded
}

func (l LedgerUnderTest) state(t *testing.T, run backfill.Run) backfill.LedgerState {
	t.Helper()
	state, err := l.State(t.Context(), run.ID())
	require.NoError(t, err)
	return state
}

// end settles the run, whose chunks have their outcomes.
func (l LedgerUnderTest) end(t *testing.T, run backfill.Run) {
	t.Helper()
	require.NoError(t, l.Freeze(t.Context(), run.ID(), run.Attempt))
	require.NoError(t, l.Settle(t.Context(), run.ID(), ResultOf(run)))
}

// requireSameInput: the run has the input that another asked for.
func requireSameInput(t *testing.T, err error, run backfill.Run) {
	t.Helper()
	refused := new(backfill.RefusedError)
	require.ErrorAs(t, err, &refused)
	require.Equal(t, backfill.RefusedSameInput, refused.Reason)
	require.Equal(t, run.ID(), refused.RunID)
}

// checkInputs: one run at a time holds an input, until it is finished.
func checkInputs(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(1)
	run.Manifest.TypedHash = run.Manifest.InputHash + "-typed"
	epoch := l.seal(t, run, plan)
	twin, _ := NewRun(1)
	twin.Manifest.InputHash = run.Manifest.InputHash
	typed, _ := NewRun(1)
	typed.Manifest.TypedHash = run.Manifest.TypedHash
	for _, other := range []backfill.Run{twin, typed} {
		_, err := l.Open(t.Context(), other, false)
		requireSameInput(t, err, run)
	}
	l.record(t, run, epoch, OutcomeOf(plan[0], backfill.OutcomeSuccess))
	l.end(t, run)
	_, err := l.Open(t.Context(), twin, false)
	require.NoError(t, err)
	_, err = l.Open(t.Context(), typed, false)
	require.NoError(t, err)
}

// checkForcedInput: a run that is forced leaves the input with the one that has it.
func checkForcedInput(t *testing.T, l LedgerUnderTest) {
	run, plan := NewRun(1)
	epoch := l.seal(t, run, plan)
	twin, _ := NewRun(0)
	twin.Manifest.InputHash = run.Manifest.InputHash
	twinEpoch, err := l.Open(t.Context(), twin, true)
	require.NoError(t, err)
	_, err = l.Seal(t.Context(), twin.ID(), twinEpoch)
	require.NoError(t, err)
	l.end(t, twin)
	third, _ := NewRun(0)
	third.Manifest.InputHash = run.Manifest.InputHash
	_, err = l.Open(t.Context(), third, false)
	requireSameInput(t, err, run) // the first run has it still
	l.record(t, run, epoch, OutcomeOf(plan[0], backfill.OutcomeSuccess))
	l.end(t, run)
	_, err = l.Open(t.Context(), third, false)
	require.NoError(t, err)
}

package ledger_test

import (
	"fmt"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
	"quantbot/internal/ledger"
	"quantbot/internal/local/localtest"
)

func TestMain(m *testing.M) { localtest.Main(m) }

func TestLedgerPassesTheSuite(t *testing.T) {
	t.Parallel()
	backfilltest.RunLedgerSuite(t, func(t *testing.T) backfilltest.LedgerUnderTest {
		l, client := newLedger(t)
		return backfilltest.LedgerUnderTest{
			AnyLedger: l,
			Lose:      func() { require.NoError(t, client.FlushDB(t.Context()).Err()) },
			Empty:     func() bool { return len(client.Keys(t.Context(), "*").Val()) == 0 },
			ExpireLease: func(task backfill.Task) {
				key := fmt.Sprintf("quantbot:{%s}:a%d:lease", task.RunID, task.Attempt)
				require.NoError(t, client.ZAddXX(t.Context(), key, redis.Z{Score: 1, Member: string(task.ChunkID)}).Err())
			},
		}
	})
}

// newLedger returns a ledger over a Redis database of the test's own.
func newLedger(t testing.TB) (*ledger.Ledger, *redis.Client) {
	t.Helper()
	options, err := redis.ParseURL(localtest.NewRedis(t))
	require.NoError(t, err)
	options.PoolSize = 64
	client := redis.NewClient(options)
	t.Cleanup(func() { require.NoError(t, client.Close()) })
	return ledger.New(client), client
}

func newRun(chunks int) (backfill.Run, []backfill.Chunk) { return backfilltest.NewRun(chunks) }

func taskOf(run backfill.Run, chunk backfill.Chunk) backfill.Task {
	return backfilltest.TaskOf(run, chunk)
}

func outcomeOf(chunk backfill.Chunk, status backfill.OutcomeStatus) backfill.Outcome {
	return backfilltest.OutcomeOf(chunk, status)
}

func resultOf(run backfill.Run) backfill.RunRecord { return backfilltest.ResultOf(run) }

// openRun opens the run and stores its plan.
func openRun(t testing.TB, l *ledger.Ledger, run backfill.Run, plan []backfill.Chunk) (epoch int64) {
	t.Helper()
	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan))
	return epoch
}

// sealRun opens the run, stores its plan and seals it.
func sealRun(t testing.TB, l *ledger.Ledger, run backfill.Run, plan []backfill.Chunk) (epoch int64) {
	t.Helper()
	epoch = openRun(t, l, run, plan)
	_, err := l.Seal(t.Context(), run.ID(), epoch)
	require.NoError(t, err)
	return epoch
}

// finishRun records every chunk, freezes and settles.
func finishRun(t testing.TB, l *ledger.Ledger, run backfill.Run, plan []backfill.Chunk, epoch int64, status backfill.OutcomeStatus) {
	t.Helper()
	for _, chunk := range plan {
		record(t, l, run, epoch, outcomeOf(chunk, status))
	}
	require.NoError(t, l.Freeze(t.Context(), run.ID(), run.Attempt))
	require.NoError(t, l.Settle(t.Context(), run.ID(), resultOf(run)))
}

func record(t testing.TB, l *ledger.Ledger, run backfill.Run, epoch int64, outcome backfill.Outcome) backfill.Recorded {
	t.Helper()
	recorded, err := l.Record(t.Context(), backfill.Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: outcome.ChunkID}, epoch, outcome)
	require.NoError(t, err)
	return recorded
}

func stateOf(t testing.TB, l *ledger.Ledger, run backfill.Run) backfill.LedgerState {
	t.Helper()
	state, err := l.State(t.Context(), run.ID())
	require.NoError(t, err)
	return state
}

// outcomesOf reads the outcomes of an attempt and checks that each chunk comes once.
func outcomesOf(t testing.TB, l *ledger.Ledger, run backfill.Run) map[backfill.ChunkID]backfill.Outcome {
	t.Helper()
	outcomes := make(map[backfill.ChunkID]backfill.Outcome)
	require.NoError(t, l.Outcomes(t.Context(), run.ID(), run.Attempt, func(o backfill.Outcome) error {
		require.NotContains(t, outcomes, o.ChunkID)
		outcomes[o.ChunkID] = o
		return nil
	}))
	return outcomes
}

func metaKey(run backfill.Run) string { return "quantbot:{" + run.ID().String() + "}:meta" }

func inputKey(run backfill.Run) string { return "quantbot:input:" + run.Manifest.InputHash }

// planOf reads the plan of an attempt.
func planOf(t testing.TB, l *ledger.Ledger, run backfill.Run) []backfill.Chunk {
	t.Helper()
	var plan []backfill.Chunk
	require.NoError(t, l.Plan(t.Context(), run.ID(), run.Attempt, func(chunks []backfill.Chunk) error {
		plan = append(plan, chunks...)
		return nil
	}))
	return plan
}

// recordAll records a success for each chunk, many at a time.
func recordAll(t testing.TB, l *ledger.Ledger, run backfill.Run, epoch int64, plan []backfill.Chunk) {
	t.Helper()
	var group errgroup.Group
	group.SetLimit(32)
	for _, chunk := range plan {
		group.Go(func() error {
			_, err := l.Record(t.Context(), taskOf(run, chunk), epoch, outcomeOf(chunk, backfill.OutcomeSuccess))
			return err
		})
	}
	require.NoError(t, group.Wait())
}

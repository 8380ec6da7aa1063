package ledger_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

func TestFreezeOnlyWhenDone(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1)
	freeze := func() error { return l.Freeze(t.Context(), run.ID(), 1) }
	require.ErrorIs(t, freeze(), backfill.ErrUnknownRun)
	epoch := openRun(t, l, run, plan)
	require.ErrorIs(t, freeze(), backfill.ErrNotDone)
	_, err := l.Seal(t.Context(), run.ID(), epoch)
	require.NoError(t, err)
	require.ErrorIs(t, freeze(), backfill.ErrNotDone)
	require.ErrorIs(t, l.Settle(t.Context(), run.ID(), resultOf(run)), backfill.ErrNotDone)

	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	require.ErrorIs(t, l.Settle(t.Context(), run.ID(), resultOf(run)), backfill.ErrNotDone, "not frozen")
	require.NoError(t, freeze())
	require.NoError(t, freeze())
	require.Equal(t, backfill.PhaseFinishing, stateOf(t, l, run).Phase)
	require.NoError(t, l.Settle(t.Context(), run.ID(), resultOf(run)))
	require.ErrorIs(t, freeze(), backfill.ErrFinished)
	require.ErrorIs(t, l.Freeze(t.Context(), run.ID(), 2), backfill.ErrUnknownRun, "there is no such attempt")
}

func TestFreezeNeedsSeal(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1)
	epoch := openRun(t, l, run, plan)
	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	require.ErrorIs(t, l.Freeze(t.Context(), run.ID(), 1), backfill.ErrNotDone)
}

func TestSettleOnce(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1)
	epoch := sealRun(t, l, run, plan)
	finishRun(t, l, run, plan, epoch, backfill.OutcomeSuccess)

	other := resultOf(run)
	other.Status = backfill.StatusFailed
	require.ErrorIs(t, l.Settle(t.Context(), run.ID(), other), backfill.ErrFinished)
	state := stateOf(t, l, run)
	require.Equal(t, backfill.PhaseFinished, state.Phase)
	want := resultOf(run)
	require.Empty(t, cmp.Diff(&want, state.Result))
	requireActive(t, l, run)

	retry := run
	retry.Attempt, retry.RetriedChunks = 2, 1
	sealRun(t, l, retry, plan)
	require.ErrorIs(t, l.Freeze(t.Context(), run.ID(), 1), backfill.ErrFinished)
	require.ErrorIs(t, l.Settle(t.Context(), run.ID(), other), backfill.ErrFinished, "the attempt is past")
	require.Equal(t, backfill.PhaseRunning, stateOf(t, l, run).Phase)
}

func TestOutcomesStopsAtError(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(3)
	epoch := sealRun(t, l, run, plan)
	for _, chunk := range plan {
		record(t, l, run, epoch, outcomeOf(chunk, backfill.OutcomeSuccess))
	}
	stop, calls := errors.New("stop"), 0
	err := l.Outcomes(t.Context(), run.ID(), 1, func(backfill.Outcome) error {
		calls++
		return stop
	})
	require.ErrorIs(t, err, stop)
	require.Equal(t, 1, calls)
}

// Redis may give a field twice while a hash changes its size.
func TestOutcomesComeOnceWhenRedisRepeatsThem(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(3)
	epoch := sealRun(t, l, run, plan)
	recordAll(t, l, run, epoch, plan)
	client.AddHook(doubleScans{})
	require.Len(t, outcomesOf(t, l, run), 3)
}

func TestAbandon(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(3)
	epoch := openRun(t, l, run, plan[:2])
	result := resultOf(run)
	result.Status, result.ErrorMessage = backfill.StatusFailed, "enqueuer died while planning"
	require.NoError(t, l.Abandon(t.Context(), run.ID(), epoch, result))
	require.ErrorIs(t, l.Abandon(t.Context(), run.ID(), epoch, result), backfill.ErrFinished)

	state := stateOf(t, l, run)
	require.Equal(t, backfill.PhaseFinished, state.Phase)
	require.Zero(t, state.Pending)
	require.Empty(t, cmp.Diff(&result, state.Result))
	require.Zero(t, client.Exists(t.Context(), inputKey(run)).Val())
	require.Equal(t, backfill.AlreadyDone, admit(t, l, run, plan[0]).Verdict)

}

func TestAbandonRefusesWholePlan(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(2)
	epoch := openRun(t, l, run, plan)
	require.ErrorContains(t, l.Abandon(t.Context(), run.ID(), epoch, resultOf(run)), "the plan is whole")
	_, err := l.Seal(t.Context(), run.ID(), epoch)
	require.NoError(t, err)
	require.ErrorContains(t, l.Abandon(t.Context(), run.ID(), epoch, resultOf(run)), "the plan is whole")
	require.Equal(t, 2, stateOf(t, l, run).Pending)
}

func TestArchive(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)
	admit(t, l, run, plan[0])
	require.ErrorIs(t, l.Archive(t.Context(), run.ID(), 1), backfill.ErrNotDone)
	require.ErrorIs(t, l.Archive(t.Context(), run.ID(), 2), backfill.ErrUnknownRun)
	requireActive(t, l, run)

	finishRun(t, l, run, plan, epoch, backfill.OutcomeFailed)
	retry := run
	retry.Attempt, retry.RetriedChunks = 2, 2
	epoch = sealRun(t, l, retry, plan)
	finishRun(t, l, retry, plan, epoch, backfill.OutcomeSuccess)
	require.NoError(t, l.Archive(t.Context(), run.ID(), 1))
	requireActive(t, l, run)
	requireLasting(t, client)

	for range 2 {
		require.NoError(t, l.Archive(t.Context(), run.ID(), 2))
		requireActive(t, l)
	}
	keys := client.Keys(t.Context(), "*").Val()
	require.Len(t, keys, 4, "meta, plan, and outcome and progress of the last attempt: %v", keys)
	for _, key := range keys {
		ttl := client.PTTL(t.Context(), key).Val()
		require.InDelta(t, ledger.Retention, ttl, float64(time.Minute), key)
	}
}

// requireLasting checks that nothing in the database is about to expire.
func requireLasting(t *testing.T, client *redis.Client) {
	t.Helper()
	for _, key := range client.Keys(t.Context(), "*").Val() {
		require.Equal(t, time.Duration(-1), client.PTTL(t.Context(), key).Val(), "%s would expire", key)
	}
}

func TestForget(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, _ := newRun(1)
	_, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.NoError(t, l.Forget(t.Context(), run.ID()))
	requireActive(t, l, run)
	require.NoError(t, client.Del(t.Context(), metaKey(run)).Err())
	require.NoError(t, l.Forget(t.Context(), run.ID()))
	requireActive(t, l)
}

// A retry that opens while the attempt before is being archived stays among the active runs, and keeps its keys, even
// when it is over before Archive goes on.
func TestArchiveMeetsRetry(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"eval", "srem", "hmget"} { // the commands of Archive before which the retry comes
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			l, client := newLedger(t)
			run, plan := newRun(1)
			epoch := sealRun(t, l, run, plan)
			finishRun(t, l, run, plan, epoch, backfill.OutcomeFailed)
			retry := run
			retry.Attempt, retry.RetriedChunks = 2, 1
			archiver := redis.NewClient(client.Options())
			t.Cleanup(func() { require.NoError(t, archiver.Close()) })
			opened := false
			archiver.AddHook(before{func(cmd redis.Cmder) {
				if !opened && strings.HasPrefix(cmd.Name(), at) {
					opened = true
					epoch := sealRun(t, l, retry, plan)
					finishRun(t, l, retry, plan, epoch, backfill.OutcomeSuccess)
				}
			}})

			require.NoError(t, ledger.New(archiver).Archive(t.Context(), run.ID(), 1))
			require.True(t, opened)
			requireActive(t, l, run)
			requireLasting(t, client)
		})
	}
}

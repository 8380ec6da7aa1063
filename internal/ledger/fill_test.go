package ledger_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

func admit(t testing.TB, l *ledger.Ledger, run backfill.Run, chunk backfill.Chunk) backfill.Admission {
	t.Helper()
	admission, err := l.Admit(t.Context(), taskOf(run, chunk))
	require.NoError(t, err)
	return admission
}

func executionOf(run backfill.Run, chunk backfill.Chunk, epoch int64, number int) backfill.Execution {
	return backfill.Execution{Task: taskOf(run, chunk), Epoch: epoch, Number: number}
}

// expire makes the chunk's lease run out, as time would.
func expire(t testing.TB, client *redis.Client, run backfill.Run, chunk backfill.Chunk) {
	t.Helper()
	key := fmt.Sprintf("quantbot:{%s}:a%d:lease", run.ID(), run.Attempt)
	changed, err := client.ZAddArgs(t.Context(), key, redis.ZAddArgs{XX: true, Ch: true, Members: []redis.Z{{Score: 1, Member: string(chunk.ID)}}}).Result()
	require.NoError(t, err)
	require.EqualValues(t, 1, changed, "there is a lease")
}

func TestAdmitCountsExecutionsAndCrashes(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)

	want := backfill.Admission{Verdict: backfill.Proceed, Run: run, Epoch: epoch, Executions: 1}
	require.Empty(t, cmp.Diff(want, admit(t, l, run, plan[0])))
	require.Equal(t, backfill.Admission{Verdict: backfill.Held}, admit(t, l, run, plan[0]), "the first execution has its lease")
	expire(t, client, run, plan[0])
	want.Executions, want.Crashes = 2, 1
	require.Empty(t, cmp.Diff(want, admit(t, l, run, plan[0])), "the first execution neither recorded nor handed back")

	count, err := l.HandBack(t.Context(), executionOf(run, plan[0], epoch, 2), backfill.ClassUnavailable, backfill.Cost{Calls: 2, Credits: 240})
	require.NoError(t, err)
	require.Equal(t, 1, count)
	want.Executions, want.Unanswered, want.Spent = 3, 1, backfill.Cost{Calls: 2, Credits: 240}
	require.Empty(t, cmp.Diff(want, admit(t, l, run, plan[0])))
	want.Executions, want.Crashes, want.Unanswered, want.Spent = 1, 0, 0, backfill.Cost{}
	require.Empty(t, cmp.Diff(want, admit(t, l, run, plan[1])), "counts belong to a chunk")
}

func TestAdmitVerdicts(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(2)
	require.Equal(t, backfill.RunMissing, admit(t, l, run, plan[0]).Verdict)

	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.Equal(t, backfill.RunMissing, admit(t, l, run, plan[0]).Verdict, "its plan may still come")
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan))
	require.Equal(t, backfill.Proceed, admit(t, l, run, plan[0]).Verdict, "workers need not wait for the seal")
	_, err = l.Seal(t.Context(), run.ID(), epoch)
	require.NoError(t, err)
	_, more := newRun(3)
	require.Equal(t, backfill.AlreadyDone, admit(t, l, run, more[2]).Verdict, "not in this attempt")
	other := run
	other.Attempt = 2
	require.Equal(t, backfill.AlreadyDone, admit(t, l, other, plan[0]).Verdict)

	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeFailed))
	require.Equal(t, backfill.AlreadyDone, admit(t, l, run, plan[0]).Verdict)
	require.NoError(t, l.Cancel(t.Context(), run.ID()))
	require.Equal(t, backfill.AlreadyDone, admit(t, l, run, plan[0]).Verdict)
	cancelled := admit(t, l, run, plan[1])
	require.Equal(t, backfill.RunCancelled, cancelled.Verdict)
	require.Equal(t, epoch, cancelled.Epoch, "what a worker needs to record it")
	require.Empty(t, cmp.Diff(run, cancelled.Run))
	require.Zero(t, cancelled.Executions)

	record(t, l, run, epoch, outcomeOf(plan[1], backfill.OutcomeCancelled))
	require.NoError(t, l.Freeze(t.Context(), run.ID(), 1))
	require.Equal(t, backfill.AlreadyDone, admit(t, l, run, plan[1]).Verdict)
}

func TestAdmitKnowsEachAttempt(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	epoch := sealRun(t, l, run, plan)
	require.Equal(t, 1, admit(t, l, run, plan[0]).Run.Attempt)
	finishRun(t, l, run, plan, epoch, backfill.OutcomeFailed)
	retry := run
	retry.Attempt, retry.RetriedChunks = 2, 1
	sealRun(t, l, retry, plan)
	require.Empty(t, cmp.Diff(retry, admit(t, l, retry, plan[0]).Run))
	expire(t, client, retry, plan[0])
	require.Empty(t, cmp.Diff(retry, admit(t, l, retry, plan[0]).Run), "remembered")
}

func TestStillWanted(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	ask := func(epoch int64, number int) (bool, error) {
		return l.StillWanted(t.Context(), executionOf(run, plan[0], epoch, number))
	}
	_, err := ask(1, 1)
	require.ErrorIs(t, err, backfill.ErrUnknownRun)
	require.Equal(t, backfill.ClassStore, backfill.ClassOf(err))

	epoch := openRun(t, l, run, plan)
	requireWanted := func(want bool, epoch int64, number int) {
		t.Helper()
		wanted, err := ask(epoch, number)
		require.NoError(t, err)
		require.Equal(t, want, wanted)
	}
	admit(t, l, run, plan[0])
	requireWanted(true, epoch, 1)
	_, err = l.TakeOver(t.Context(), run.ID())
	require.NoError(t, err)
	requireWanted(true, epoch, 1) // a new planner does not throw away what workers fetch
	expire(t, client, run, plan[0])
	requireWanted(true, epoch, 1) // nobody has taken the chunk
	admit(t, l, run, plan[0])
	requireWanted(false, epoch, 1) // somebody has
	requireWanted(true, epoch, 2)
	require.NoError(t, l.Cancel(t.Context(), run.ID()))
	requireWanted(false, epoch, 2)

	require.NoError(t, client.FlushDB(t.Context()).Err())
	epoch2, err := l.Rebuild(t.Context(), run)
	require.NoError(t, err)
	_, err = ask(epoch, 2)
	require.ErrorIs(t, err, backfill.ErrStale)
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch2, plan))
	_, err = l.Seal(t.Context(), run.ID(), epoch2)
	require.NoError(t, err)
	admit(t, l, run, plan[0])
	requireWanted(true, epoch2, 1)
	record(t, l, run, epoch2, outcomeOf(plan[0], backfill.OutcomeFailed))
	requireWanted(true, epoch2, 1) // a success ranks higher
	record(t, l, run, epoch2, outcomeOf(plan[0], backfill.OutcomeSuccess))
	requireWanted(false, epoch2, 1)
	require.NoError(t, l.Freeze(t.Context(), run.ID(), 1))
	requireWanted(false, epoch2, 1)
}

func TestHandBackCountsClasses(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	_, err := l.HandBack(t.Context(), executionOf(run, plan[0], 1, 1), backfill.ClassParked, backfill.Cost{Calls: 1})
	require.ErrorIs(t, err, backfill.ErrUnknownRun)
	require.Empty(t, client.Keys(t.Context(), "*").Val())

	epoch := sealRun(t, l, run, plan)
	handBack := func(class backfill.Class, number, want int) {
		t.Helper()
		count, err := l.HandBack(t.Context(), executionOf(run, plan[0], epoch, number), class, backfill.Cost{Calls: 1, Credits: 60})
		require.NoError(t, err)
		require.Equal(t, want, count)
	}
	handBack(backfill.ClassUnavailable, 0, 1)
	handBack(backfill.ClassRateLimited, 0, 1)
	handBack(backfill.ClassUnavailable, 0, 2)
	require.Zero(t, admit(t, l, run, plan[0]).Crashes, "handing back what was never admitted must not hide a crash")
	expire(t, client, run, plan[0])
	require.Equal(t, 1, admit(t, l, run, plan[0]).Crashes)
	handBack(backfill.ClassStore, 1, 1)
	require.Equal(t, backfill.Held, admit(t, l, run, plan[0]).Verdict, "an earlier execution does not end the lease of a later one")
	handBack(backfill.ClassStore, 2, 2)
	require.Equal(t, backfill.Proceed, admit(t, l, run, plan[0]).Verdict)

	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeFailed))
	handBack(backfill.ClassUnavailable, 3, 0)
}

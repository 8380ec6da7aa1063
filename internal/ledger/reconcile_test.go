package ledger_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

func TestLease(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	lease := func(holder string, want bool) {
		t.Helper()
		held, err := l.Lease(t.Context(), backfill.DutyReconcile, holder, time.Minute)
		require.NoError(t, err)
		require.Equal(t, want, held)
	}
	lease("a", true)
	lease("b", false)
	require.NoError(t, client.PExpire(t.Context(), "quantbot:lease:reconciler", time.Second).Err())
	lease("a", true)
	require.Greater(t, client.PTTL(t.Context(), "quantbot:lease:reconciler").Val(), 30*time.Second, "renewed")

	require.NoError(t, l.ReleaseLease(t.Context(), backfill.DutyReconcile, "b"))
	lease("b", false)
	require.NoError(t, l.ReleaseLease(t.Context(), backfill.DutyReconcile, "a"))
	lease("b", true)
	require.NoError(t, client.PExpire(t.Context(), "quantbot:lease:reconciler", time.Millisecond).Err())
	require.Eventually(t, func() bool {
		held, err := l.Lease(t.Context(), backfill.DutyReconcile, "a", time.Minute)
		return err == nil && held
	}, 5*time.Second, time.Millisecond, "a lease ends by itself")
}

func TestTakeOver(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	epoch := openRun(t, l, run, plan)
	require.NoError(t, client.HIncrBy(t.Context(), metaKey(run), "heartbeat_us", -60_000_000).Err())

	second, err := l.TakeOver(t.Context(), run.ID())
	require.NoError(t, err)
	require.Greater(t, second, epoch)
	require.Less(t, stateOf(t, l, run).HeartbeatAge, 30*time.Second)
	third, err := l.TakeOver(t.Context(), run.ID())
	require.NoError(t, err)
	require.Greater(t, third, second)
	_, err = l.Seal(t.Context(), run.ID(), second)
	require.ErrorIs(t, err, backfill.ErrStale)
	_, err = l.Seal(t.Context(), run.ID(), third)
	require.NoError(t, err)

	finishRun(t, l, run, plan, third, backfill.OutcomeSuccess)
	_, err = l.TakeOver(t.Context(), run.ID())
	require.ErrorIs(t, err, backfill.ErrFinished)
}

func TestRebuild(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)
	_, err := l.Rebuild(t.Context(), run)
	require.ErrorIs(t, err, backfill.ErrFinished, "the run is there")
	require.Equal(t, epoch, stateOf(t, l, run).Epoch)
	_, err = l.Open(t.Context(), sameInput(run), false)
	requireDuplicateOf(t, err, run)

	require.NoError(t, client.FlushDB(t.Context()).Err())
	rebuilt, err := l.Rebuild(t.Context(), run)
	require.NoError(t, err)
	require.Greater(t, rebuilt, epoch)
	state := stateOf(t, l, run)
	require.Equal(t, backfill.PhasePlanning, state.Phase)
	require.Zero(t, state.Pending)
	requireActive(t, l, run)
	_, err = l.Open(t.Context(), sameInput(run), false)
	requireDuplicateOf(t, err, run)
	require.ErrorIs(t, l.Heartbeat(t.Context(), run.ID(), epoch), backfill.ErrStale)
}

// When a part of the keys is lost, the counts of what is left must not be added to.
func TestRebuildStartsFromNothing(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(2)
	epoch := sealRun(t, l, run, plan)
	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	require.NoError(t, client.Del(t.Context(), metaKey(run)).Err())

	_, err := l.Rebuild(t.Context(), run)
	require.NoError(t, err)
	require.Zero(t, stateOf(t, l, run).Progress)
	require.Empty(t, outcomesOf(t, l, run))
	count, err := l.PlannedChunks(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.Zero(t, count)
}

func TestOneOfManyRebuilds(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, _ := newRun(1)
	var rebuilt, there atomic.Int64
	var rebuilders sync.WaitGroup
	for range 8 {
		rebuilders.Go(func() {
			switch _, err := l.Rebuild(t.Context(), run); err {
			case nil:
				rebuilt.Add(1)
			default:
				require.ErrorIs(t, err, backfill.ErrFinished)
				there.Add(1)
			}
		})
	}
	rebuilders.Wait()
	require.Equal(t, int64(1), rebuilt.Load())
	require.Equal(t, int64(7), there.Load())
}

func TestPendingPages(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1_500)
	epoch := sealRun(t, l, run, plan)
	want := make(map[backfill.ChunkID]backfill.Chunk)
	for i, chunk := range plan {
		if i%3 == 0 {
			record(t, l, run, epoch, outcomeOf(chunk, backfill.OutcomeSuccess))
			continue
		}
		want[chunk.ID] = chunk
	}
	got := make(map[backfill.ChunkID]backfill.Chunk)
	pages := 0
	for cursor := uint64(0); pages == 0 || cursor != 0; pages++ {
		chunks, next, err := l.PendingPage(t.Context(), run.ID(), 1, cursor)
		require.NoError(t, err)
		for _, p := range chunks {
			got[p.Chunk.ID] = p.Chunk
		}
		cursor = next
	}
	require.Greater(t, pages, 1)
	require.Equal(t, want, got)
}

// commandNames notes what is sent, scripts aside.
type commandNames struct{ names map[string]bool }

func (c commandNames) DialHook(next redis.DialHook) redis.DialHook { return next }

func (c commandNames) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.names[cmd.Name()] = true
		return next(ctx, cmd)
	}
}

func (c commandNames) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		for _, cmd := range cmds {
			c.names[cmd.Name()] = true
		}
		return next(ctx, cmds)
	}
}

// In a cluster, a command without a key goes to any node, whose clock may be another one than that of the run's leases.
func TestPendingPagesGoByTheClockOfTheRunsNode(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(3)
	sealRun(t, l, run, plan)
	admission, err := l.Admit(t.Context(), backfill.Task{RunID: run.ID(), Attempt: 1, ChunkID: plan[0].ID})
	require.NoError(t, err)
	require.Equal(t, backfill.Proceed, admission.Verdict)
	sent := commandNames{make(map[string]bool)}
	client.AddHook(sent)
	chunks, _, err := l.PendingPage(t.Context(), run.ID(), 1, 0)
	require.NoError(t, err)
	require.Len(t, chunks, 3)
	for _, chunk := range chunks {
		require.Equal(t, chunk.Chunk.ID == plan[0].ID, chunk.Held)
	}
	require.NotContains(t, sent.names, "time")
}

func TestPendingPageOfEmptyRun(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, _ := newRun(0)
	chunks, next, err := l.PendingPage(t.Context(), run.ID(), 1, 0)
	require.NoError(t, err)
	require.Empty(t, chunks)
	require.Zero(t, next)
}

func TestPlanOfEachAttempt(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1_200)
	epoch := sealRun(t, l, run, plan)
	for _, chunk := range plan[:50] {
		record(t, l, run, epoch, outcomeOf(chunk, backfill.OutcomeSuccess))
	}
	require.ElementsMatch(t, plan, planOf(t, l, run))

	finishRun(t, l, run, plan, epoch, backfill.OutcomeFailed)
	retry := run
	retry.Attempt, retry.RetriedChunks = 2, 700
	epoch = sealRun(t, l, retry, plan[500:])
	record(t, l, retry, epoch, outcomeOf(plan[500], backfill.OutcomeSuccess))
	require.ElementsMatch(t, plan[500:], planOf(t, l, retry))
	count, err := l.PlannedChunks(t.Context(), run.ID(), 2)
	require.NoError(t, err)
	require.Equal(t, 700, count)
}

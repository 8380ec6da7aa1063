package ledger_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

// show shows a wait that began so long ago by a clock that is an hour ahead of Redis'.
func show(t *testing.T, l *ledger.Ledger, runID uuid.UUID, worker string, ago time.Duration, waits ...backfill.Wait) {
	t.Helper()
	now := time.Now().Add(time.Hour)
	for i := range waits {
		waits[i].Since = now.Add(-ago)
	}
	require.NoError(t, l.ShowWaits(t.Context(), runID, worker, now, waits))
}

func TestWaitsOfWorkersAreJoined(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(1)
	sealRun(t, l, run, plan)
	disk := backfill.Wait{On: "clickhouse", Reason: backfill.WaitDisk, Detail: "no space\nleft"}
	down := backfill.Wait{On: "birdeye", Reason: backfill.WaitSourceDown}
	show(t, l, run.ID(), "a", time.Minute, disk, down)
	show(t, l, run.ID(), "b", time.Hour, disk)
	show(t, l, uuid.Nil, "a", time.Minute, down)

	state := stateOf(t, l, run)
	require.Len(t, state.Waits, 2)
	require.Equal(t, []any{"clickhouse", backfill.WaitDisk, "no space\nleft", 2},
		[]any{state.Waits[0].On, state.Waits[0].Reason, state.Waits[0].Detail, state.Waits[0].Workers})
	require.WithinDuration(t, time.Now().Add(-time.Hour), state.Waits[0].Since, 10*time.Second, "the longest, by Redis' clock")
	require.Equal(t, 1, state.Waits[1].Workers)
	waits, err := l.Waits(t.Context())
	require.NoError(t, err)
	require.Len(t, waits, 1)
	require.Less(t, client.PTTL(t.Context(), "quantbot:waits").Val(), time.Minute, "what nobody shows again goes by itself")

	show(t, l, run.ID(), "a", 0)
	show(t, l, run.ID(), "b", 0)
	require.Empty(t, stateOf(t, l, run).Waits)
	require.Zero(t, client.Exists(t.Context(), "quantbot:{"+run.ID().String()+"}:waits").Val())
}

// A worker that died is not shown for as long as another one waits, and a thousand workers take no more room than some.
func TestWaitsAreBounded(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	wait := backfill.Wait{On: "clickhouse", Reason: backfill.WaitDisk}
	require.NoError(t, client.HSet(t.Context(), "quantbot:waits", "dead", "1\n1 {}").Err())
	for range 250 {
		show(t, l, uuid.Nil, uuid.NewString(), time.Minute, wait)
	}
	require.EqualValues(t, 200, client.HLen(t.Context(), "quantbot:waits").Val())
	require.False(t, client.HExists(t.Context(), "quantbot:waits", "dead").Val())
}

// A worker asks the ledger nothing while nothing is waited for, shows what it waits for, and takes it back.
func TestAWorkerShowsItsWaits(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	sent := &countCommands{}
	client.AddHook(sent)
	var waiting bool
	waits := &backfill.Waits{
		Ledger: l, Worker: "a", Now: time.Now,
		Store:  func() (backfill.Wait, bool) { return backfill.Wait{On: "clickhouse", Since: time.Now()}, waiting },
		Source: func(string) (backfill.Wait, bool) { return backfill.Wait{}, false },
	}
	waits.Show(t.Context())
	require.Zero(t, sent.commands)
	waiting = true
	waits.Show(t.Context())
	shown, err := l.Waits(t.Context())
	require.NoError(t, err)
	require.Len(t, shown, 1)
	waiting = false
	waits.Show(t.Context())
	shown, err = l.Waits(t.Context())
	require.NoError(t, err)
	require.Empty(t, shown)
}

type countCommands struct{ commands int }

func (c *countCommands) DialHook(next redis.DialHook) redis.DialHook { return next }
func (c *countCommands) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (c *countCommands) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		c.commands++
		return next(ctx, cmd)
	}
}

func TestChunksAreCancelledManyAtATime(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1_200)
	epoch := sealRun(t, l, run, plan)
	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	record(t, l, run, epoch, outcomeOf(plan[1], backfill.OutcomeFailed))
	outcomes := make([]backfill.Outcome, len(plan))
	for i, chunk := range plan {
		outcomes[i] = outcomeOf(chunk, backfill.OutcomeCancelled)
	}
	stranger, _ := newRun(1)
	require.ErrorIs(t, l.EndCancelled(t.Context(), stranger.ID(), 1, epoch, outcomes), backfill.ErrUnknownRun)
	require.ErrorIs(t, l.EndCancelled(t.Context(), run.ID(), 1, epoch-1, outcomes), backfill.ErrStale)
	for range 2 { // twice is once
		require.NoError(t, l.EndCancelled(t.Context(), run.ID(), 1, epoch, outcomes))
	}
	state := stateOf(t, l, run)
	require.Zero(t, state.Pending)
	require.Equal(t, []int64{1, 1, 1_198}, []int64{state.Progress.Succeeded, state.Progress.Failed, state.Progress.Cancelled})
	statuses := map[backfill.OutcomeStatus]int{}
	require.NoError(t, l.Outcomes(t.Context(), run.ID(), 1, func(o backfill.Outcome) error { statuses[o.Status]++; return nil }))
	require.Equal(t, map[backfill.OutcomeStatus]int{backfill.OutcomeSuccess: 1, backfill.OutcomeFailed: 1, backfill.OutcomeCancelled: 1_198}, statuses)
	require.NoError(t, l.Freeze(t.Context(), run.ID(), 1))
	require.NoError(t, l.EndCancelled(t.Context(), run.ID(), 1, epoch, outcomes), "an attempt that is over stays what it is")
}

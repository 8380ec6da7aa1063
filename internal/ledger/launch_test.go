package ledger_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

func TestOpenShowsRun(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, _ := newRun(7)
	before := time.Now().Add(-time.Minute).UnixMicro()

	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.Greater(t, epoch, before, "an epoch is at least the time, so that it is new after a loss")

	state := stateOf(t, l, run)
	require.Less(t, state.HeartbeatAge, 10*time.Second)
	state.HeartbeatAge = 0
	want := backfill.LedgerState{Run: run, Phase: backfill.PhasePlanning, AttemptChunks: 7, Epoch: epoch}
	require.Empty(t, cmp.Diff(want, state))
	active, err := l.ActiveRuns(t.Context())
	require.NoError(t, err)
	require.Equal(t, []uuid.UUID{run.ID()}, active)
}

func TestOpenRefusesRunThatGoesOn(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1)
	epoch := sealRun(t, l, run, plan)

	_, err := l.Open(t.Context(), run, true)
	require.ErrorContains(t, err, "the run exists already: attempt 1 is running")
	require.Equal(t, epoch, stateOf(t, l, run).Epoch)
	other, _ := newRun(1)
	other.Manifest.InputHash = run.Manifest.InputHash
	_, err = l.Open(t.Context(), other, false)
	require.Equal(t, backfill.RefusedSameInput, backfill.RefusalOf(err), "the refused Open must not have freed the input")
}

func TestOpenMovesFinishedRunOn(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(3)
	epoch := sealRun(t, l, run, plan)
	finishRun(t, l, run, plan, epoch, backfill.OutcomeFailed)
	require.ErrorIs(t, l.Cancel(t.Context(), run.ID()), backfill.ErrFinished)
	require.NoError(t, l.Archive(t.Context(), run.ID(), 1))

	_, err := l.Open(t.Context(), run, false)
	require.ErrorIs(t, err, backfill.ErrFinished)

	retry := run
	retry.Attempt, retry.RetriedChunks = 2, 2
	second, err := l.Open(t.Context(), retry, false)
	require.NoError(t, err)
	require.Greater(t, second, epoch)
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), second, plan[:2]))
	_, err = l.Seal(t.Context(), run.ID(), second)
	require.NoError(t, err)

	state := stateOf(t, l, retry)
	require.Equal(t, backfill.PhaseRunning, state.Phase)
	require.Equal(t, 2, state.AttemptChunks)
	require.Equal(t, 2, state.Pending)
	require.Zero(t, state.Progress)
	require.Nil(t, state.Result)
	require.Empty(t, outcomesOf(t, l, run), "what counts of it is restored from the history")
	requireLasting(t, client)
}

func TestOpenAgainAfterLostAnswer(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	repeat := &repeater{}
	client.AddHook(repeat)
	run, _ := newRun(1)
	_, err := l.Open(t.Context(), run, false)
	require.NoError(t, err, "the client sends each command twice, as after a lost answer")
	require.Positive(t, repeat.repeated.Load())
}

// A run must never exist without being active, whoever looks or cleans up in between.
func TestOpenIsActiveThroughout(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, _ := newRun(1)
	opener := redis.NewClient(client.Options())
	t.Cleanup(func() { require.NoError(t, opener.Close()) })
	created := false
	opener.AddHook(before{func(cmd redis.Cmder) {
		if slices.Contains(cmd.Args(), any(metaKey(run))) && !created {
			created = true
			requireActive(t, l, run)
			require.NoError(t, l.Forget(t.Context(), run.ID()), "a reconciler finds no state and forgets the run")
			requireActive(t, l)
		}
	}})
	_, err := ledger.New(opener).Open(t.Context(), run, false)
	require.NoError(t, err)
	require.True(t, created)
	requireActive(t, l, run)
}

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, _ := newRun(1)
	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	require.NoError(t, client.HIncrBy(t.Context(), metaKey(run), "heartbeat_us", -60_000_000).Err())
	require.GreaterOrEqual(t, stateOf(t, l, run).HeartbeatAge, time.Minute)

	require.ErrorIs(t, l.Heartbeat(t.Context(), run.ID(), epoch-1), backfill.ErrStale)
	require.GreaterOrEqual(t, stateOf(t, l, run).HeartbeatAge, time.Minute)
	require.NoError(t, l.Heartbeat(t.Context(), run.ID(), epoch))
	require.Less(t, stateOf(t, l, run).HeartbeatAge, 30*time.Second)
}

func TestStorePlanIsRepeatable(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1_234)
	epoch := openRun(t, l, run, plan)
	record(t, l, run, epoch, outcomeOf(plan[5], backfill.OutcomeSuccess))
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan))

	require.Equal(t, 1_233, stateOf(t, l, run).Pending, "a chunk with an outcome must not become pending again")
	count, err := l.PlannedChunks(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.Equal(t, 1_234, count)
}

func TestStorePlanAfterSeal(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(3)
	epoch := sealRun(t, l, run, plan)
	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))

	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan), "what is planned may be named again")
	_, more := newRun(4)
	require.ErrorContains(t, l.StorePlan(t.Context(), run.ID(), epoch, more), "sealed without chunk "+string(more[3].ID))
	require.Equal(t, 2, stateOf(t, l, run).Pending)
}

func TestStorePlanStopsWithItsContext(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(5_000)
	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calls atomic.Int64
	client.AddHook(before{func(cmd redis.Cmder) {
		if strings.HasPrefix(cmd.Name(), "eval") && calls.Add(1) == 5 {
			cancel()
		}
	}})

	err = l.StorePlan(ctx, run.ID(), epoch, plan)
	require.Error(t, err, "a part of the plan must not pass for the whole")
	require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(err))
}

func TestSealWantsWholePlan(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(3)
	epoch := openRun(t, l, run, plan[:2])

	_, err := l.Seal(t.Context(), run.ID(), epoch)
	require.EqualError(t, err, "the plan has 2 chunks instead of 3")
	require.Equal(t, backfill.PhasePlanning, stateOf(t, l, run).Phase)

	require.NoError(t, l.StorePlan(t.Context(), run.ID(), epoch, plan[2:]))
	for range 2 {
		finish, err := l.Seal(t.Context(), run.ID(), epoch)
		require.NoError(t, err)
		require.False(t, finish)
	}
	require.Equal(t, backfill.PhaseRunning, stateOf(t, l, run).Phase)
}

func TestSealReportsWhoFinishes(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)

	empty, _ := newRun(0)
	epoch, err := l.Open(t.Context(), empty, false)
	require.NoError(t, err)
	finish, err := l.Seal(t.Context(), empty.ID(), epoch)
	require.NoError(t, err)
	require.True(t, finish, "a run without chunks ends at once")

	quick, plan := newRun(2)
	epoch = openRun(t, l, quick, plan)
	for _, chunk := range plan {
		require.False(t, record(t, l, quick, epoch, outcomeOf(chunk, backfill.OutcomeSuccess)).Finish, "not sealed yet")
	}
	finish, err = l.Seal(t.Context(), quick.ID(), epoch)
	require.NoError(t, err)
	require.True(t, finish)
	require.NoError(t, l.Freeze(t.Context(), quick.ID(), 1))
	finish, err = l.Seal(t.Context(), quick.ID(), epoch)
	require.NoError(t, err)
	require.False(t, finish, "somebody is at it")
}

func TestSetHistoryStale(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, _ := newRun(1)
	_, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	for _, stale := range []bool{true, false} {
		require.NoError(t, l.SetHistoryStale(t.Context(), run.ID(), stale))
		require.Equal(t, stale, stateOf(t, l, run).HistoryStale)
	}
}

// Everything that a planning process may do is refused once another took over, and when the run is not there.
func TestPlannerIsRefused(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	run, plan := newRun(2)
	old := openRun(t, l, run, plan)
	calls := map[string]func(epoch int64) error{
		"heartbeat":  func(epoch int64) error { return l.Heartbeat(t.Context(), run.ID(), epoch) },
		"store plan": func(epoch int64) error { return l.StorePlan(t.Context(), run.ID(), epoch, plan) },
		"seal": func(epoch int64) error {
			_, err := l.Seal(t.Context(), run.ID(), epoch)
			return err
		},
		"abandon": func(epoch int64) error { return l.Abandon(t.Context(), run.ID(), epoch, resultOf(run)) },
	}
	_, err := l.TakeOver(t.Context(), run.ID())
	require.NoError(t, err)
	for name, call := range calls {
		require.ErrorIs(t, call(old), backfill.ErrStale, name)
	}
	require.Equal(t, backfill.PhasePlanning, stateOf(t, l, run).Phase)

	require.NoError(t, client.FlushDB(t.Context()).Err())
	calls["history stale"] = func(int64) error { return l.SetHistoryStale(t.Context(), run.ID(), true) }
	calls["cancel"] = func(int64) error { return l.Cancel(t.Context(), run.ID()) }
	calls["take over"] = func(int64) error {
		_, err := l.TakeOver(t.Context(), run.ID())
		return err
	}
	for name, call := range calls {
		require.ErrorIs(t, call(old), backfill.ErrUnknownRun, name)
	}
	require.Empty(t, client.Keys(t.Context(), "*").Val(), "nothing of a lost run may come back")
}

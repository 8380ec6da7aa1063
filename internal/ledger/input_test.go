package ledger_test

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/ledger"
)

// sameInput returns another run over the input of the first.
func sameInput(run backfill.Run) backfill.Run {
	run.Manifest.RunID = uuid.New()
	return run
}

func requireDuplicateOf(t *testing.T, err error, run backfill.Run) {
	t.Helper()
	refused, ok := errors.AsType[*backfill.RefusedError](err)
	require.True(t, ok, "%v", err)
	require.Equal(t, backfill.RefusedSameInput, refused.Reason)
	require.Equal(t, run.ID(), refused.RunID)
}

func requireActive(t *testing.T, l *ledger.Ledger, runs ...backfill.Run) {
	t.Helper()
	want := make([]uuid.UUID, len(runs))
	for i, run := range runs {
		want[i] = run.ID()
	}
	active, err := l.ActiveRuns(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, want, active)
}

func TestDuplicateInputIsRefused(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	first, plan := newRun(1)
	epoch := sealRun(t, l, first, plan)

	second := sameInput(first)
	_, err := l.Open(t.Context(), second, false)
	requireDuplicateOf(t, err, first)
	_, err = l.State(t.Context(), second.ID())
	require.ErrorIs(t, err, backfill.ErrUnknownRun)
	requireActive(t, l, first)

	finishRun(t, l, first, plan, epoch, backfill.OutcomeSuccess)
	_, err = l.Open(t.Context(), second, false)
	require.NoError(t, err, "the end of a run frees its input")
}

func TestForcedDuplicateLeavesInputToTheFirst(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	first, plan := newRun(1)
	sealRun(t, l, first, plan)

	forced := sameInput(first)
	epoch, err := l.Open(t.Context(), forced, true)
	require.NoError(t, err)
	require.NoError(t, l.StorePlan(t.Context(), forced.ID(), epoch, plan))
	_, err = l.Seal(t.Context(), forced.ID(), epoch)
	require.NoError(t, err)
	finishRun(t, l, forced, plan, epoch, backfill.OutcomeSuccess)

	_, err = l.Open(t.Context(), sameInput(first), false)
	requireDuplicateOf(t, err, first)
}

func TestInputOfDeadHolderIsTakenOver(t *testing.T) {
	t.Parallel()
	// Each holder died at another point; the input must be free again, and stay with its new holder.
	holders := map[string]func(t *testing.T, l *ledger.Ledger, client *redis.Client, run backfill.Run, plan []backfill.Chunk){
		"meta is gone": func(t *testing.T, l *ledger.Ledger, client *redis.Client, run backfill.Run, plan []backfill.Chunk) {
			sealRun(t, l, run, plan)
			require.NoError(t, client.Del(t.Context(), metaKey(run)).Err())
		},
		"finished but not released": func(t *testing.T, l *ledger.Ledger, client *redis.Client, run backfill.Run, plan []backfill.Chunk) {
			epoch := sealRun(t, l, run, plan)
			held := client.Get(t.Context(), inputKey(run)).Val()
			finishRun(t, l, run, plan, epoch, backfill.OutcomeSuccess)
			require.NoError(t, client.Set(t.Context(), inputKey(run), held, 0).Err())
		},
		"abandoned": func(t *testing.T, l *ledger.Ledger, client *redis.Client, run backfill.Run, plan []backfill.Chunk) {
			epoch, err := l.Open(t.Context(), run, false)
			require.NoError(t, err)
			require.NoError(t, l.Abandon(t.Context(), run.ID(), epoch, resultOf(run)))
		},
		"its claim ran out": func(t *testing.T, l *ledger.Ledger, client *redis.Client, run backfill.Run, plan []backfill.Chunk) {
			set := client.Set(t.Context(), inputKey(run), run.ID().String()+"/dead", time.Millisecond)
			require.NoError(t, set.Err())
			require.Eventually(t, func() bool { return client.Exists(t.Context(), inputKey(run)).Val() == 0 },
				5*time.Second, time.Millisecond)
		},
	}
	for name, die := range holders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, client := newLedger(t)
			first, plan := newRun(1)
			die(t, l, client, first, plan)

			second := sameInput(first)
			_, err := l.Open(t.Context(), second, false)
			require.NoError(t, err)
			require.Equal(t, time.Duration(-1), client.PTTL(t.Context(), inputKey(first)).Val(), "the claim must last")
			_, err = l.Open(t.Context(), sameInput(first), false)
			requireDuplicateOf(t, err, second)
		})
	}
}

func TestClaimOfRunBeingOpenedHolds(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	first, _ := newRun(1)
	set := client.Set(t.Context(), inputKey(first), first.ID().String()+"/opener", time.Minute)
	require.NoError(t, set.Err())
	_, err := l.Open(t.Context(), sameInput(first), false)
	requireDuplicateOf(t, err, first)
}

// A process that stands still between its claim and its run finds, when it wakes up, that another run took the input.
func TestOwnerThatSleptLosesTheInput(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	slow, _ := newRun(1)
	quick := sameInput(slow)
	var once sync.Once
	sleeper := redis.NewClient(client.Options())
	t.Cleanup(func() { require.NoError(t, sleeper.Close()) })
	sleeper.AddHook(before{func(cmd redis.Cmder) {
		if strings.EqualFold(cmd.Name(), "sadd") { // Open has claimed the input and goes on to the run
			once.Do(func() {
				require.NoError(t, client.Del(t.Context(), inputKey(slow)).Err())
				_, err := l.Open(t.Context(), quick, false)
				require.NoError(t, err)
			})
		}
	}})

	_, err := ledger.New(sleeper).Open(t.Context(), slow, false)
	requireDuplicateOf(t, err, quick)
	requireActive(t, l, slow, quick)
	require.Equal(t, backfill.PhasePlanning, stateOf(t, l, slow).Phase, "the reconciler ends it")
}

func TestOneOfManyOpensTheInput(t *testing.T) {
	t.Parallel()
	for name, same := range map[string]func(backfill.Run) backfill.Run{
		"resolved": sameInput,
		"as typed": func(backfill.Run) backfill.Run {
			run, _ := newRun(1)
			run.Manifest.TypedHash = "typed"
			return run
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			checkOneOpens(t, same)
		})
	}
}

func checkOneOpens(t *testing.T, same func(backfill.Run) backfill.Run) {
	t.Helper()
	l, _ := newLedger(t)
	first, _ := newRun(1)
	var opened atomic.Int64
	var openers sync.WaitGroup
	for range 16 {
		openers.Go(func() {
			_, err := l.Open(t.Context(), same(first), false)
			switch duplicate := backfill.RefusalOf(err) == backfill.RefusedSameInput; {
			case err == nil:
				opened.Add(1)
			case !duplicate:
				t.Errorf("open: %v", err)
			}
		})
	}
	openers.Wait()
	require.Equal(t, int64(1), opened.Load())
}

// A request of relative times is another input each second, and the same as typed.
func TestTheSameRequestAsTypedIsRefusedWhileItsRunLives(t *testing.T) {
	t.Parallel()
	l, client := newLedger(t)
	typed := func(run backfill.Run) backfill.Run {
		run.Manifest.TypedHash = "typed"
		return run
	}
	first, plan := newRun(1)
	first = typed(first)
	sealRun(t, l, first, plan)
	second, _ := newRun(1)
	second = typed(second)
	_, err := l.Open(t.Context(), second, false)
	requireDuplicateOf(t, err, first)
	require.Zero(t, client.Exists(t.Context(), inputKey(second)).Val(), "what was refused holds nothing")
	_, err = l.Open(t.Context(), sameInput(first), false)
	requireDuplicateOf(t, err, first)

	forced, _ := newRun(1)
	forced = typed(forced)
	forcedEpoch, err := l.Open(t.Context(), forced, true)
	require.NoError(t, err)
	require.NoError(t, l.Abandon(t.Context(), forced.ID(), forcedEpoch, resultOf(forced)))
	require.Zero(t, client.Exists(t.Context(), inputKey(forced)).Val())
	_, err = l.Open(t.Context(), second, false)
	requireDuplicateOf(t, err, first)

	require.NoError(t, client.Del(t.Context(), metaKey(first), inputKey(first), "quantbot:input:typed").Err())
	_, err = l.Rebuild(t.Context(), first)
	require.NoError(t, err)
	_, err = l.Open(t.Context(), second, false)
	requireDuplicateOf(t, err, first)
	epoch := stateOf(t, l, first).Epoch
	require.NoError(t, l.StorePlan(t.Context(), first.ID(), epoch, plan))
	_, err = l.Seal(t.Context(), first.ID(), epoch)
	require.NoError(t, err)
	finishRun(t, l, first, plan, epoch, backfill.OutcomeSuccess)
	require.Zero(t, client.Exists(t.Context(), inputKey(first), "quantbot:input:typed").Val(), "the end of a run frees both")
	_, err = l.Open(t.Context(), second, false)
	require.NoError(t, err)

	first.Attempt = 2
	_, err = l.Open(t.Context(), first, false)
	requireDuplicateOf(t, err, second) // a retry would buy what both ask for twice

	taken, err := l.TakeOver(t.Context(), second.ID())
	require.NoError(t, err)
	require.NoError(t, l.Abandon(t.Context(), second.ID(), taken, resultOf(second)), "its enqueuer was killed while it planned")
	require.Zero(t, client.Exists(t.Context(), inputKey(second), "quantbot:input:typed").Val(), "that frees both, too")
}

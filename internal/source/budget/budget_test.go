package budget

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/local/localtest"
	"quantbot/internal/pause"
)

func TestMain(m *testing.M) { localtest.Main(m) }

var account = NewAccount("birdeye", "distinctive-key")

func client(t testing.TB) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(localtest.NewRedis(t))
	require.NoError(t, err)
	c := redis.NewClient(options)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func member(c redis.UniversalClient, name string, perSecond float64) *Budget {
	return New(Config{Redis: c, Account: account, PerSecond: perSecond, Member: name, Logger: slog.New(slog.DiscardHandler), Now: time.Now})
}

// ask lets members ask as fast as they may until n requests have gone, and returns how long that took.
func ask(t testing.TB, n int, went func(i int), members ...*Budget) time.Duration {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	began := time.Now()
	gone := make(chan struct{})
	var asking sync.WaitGroup
	for _, b := range members {
		for range 4 {
			asking.Go(func() {
				for b.Wait(ctx, 1) == nil {
					select {
					case gone <- struct{}{}:
					case <-ctx.Done():
					}
				}
			})
		}
	}
	defer asking.Wait()
	defer cancel()
	for i := range n {
		<-gone
		went(i)
	}
	return time.Since(began)
}

// givenUp notes which reserved moments were given up: Redis may have let go of one by then, so that it does not say so itself.
type givenUp struct {
	mu      sync.Mutex
	serials map[string]bool
}

func (g *givenUp) DialHook(next redis.DialHook) redis.DialHook { return next }

func (g *givenUp) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return next
}

func (g *givenUp) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		reply, ok := cmd.(*redis.Cmd)
		if !ok || len(cmd.Args()) != 7 || cmd.Args()[1] != moveScript.Hash() {
			return err
		}
		if values, failed := reply.Slice(); failed == nil && values[0] != goes {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.serials[fmt.Sprint(cmd.Args()[5])] = true
		}
		return err
	}
}

// moments lets members ask until n requests have gone, and returns the moments that Redis has of them, in order: when a
// goroutine of a busy machine wakes up says nothing about the budget. reserved is how many were reserved in all, with those
// that were given up.
func moments(t testing.TB, c *redis.Client, n int, members ...*Budget) (all []time.Duration, reserved int) {
	t.Helper()
	kept := make(map[string]time.Duration)
	lost := &givenUp{serials: make(map[string]bool)}
	c.AddHook(lost)
	require.NoError(t, moveScript.Load(t.Context(), c).Err()) // so that it is called by its hash from the first time on
	look := func(i int) {
		if i%20 > 0 { // Redis keeps more than a hundred
			return
		}
		latest, err := c.ZRangeWithScores(t.Context(), account.keys()[2], 0, -1).Result()
		require.NoError(t, err)
		maps.DeleteFunc(kept, func(_ string, at time.Duration) bool { return at >= micros(latest[0].Score) }) // one may go later now
		for _, moment := range latest {
			kept[moment.Member.(string)] = micros(moment.Score)
		}
	}
	ask(t, n, look, members...)
	look(0)
	maps.DeleteFunc(kept, func(serial string, _ time.Duration) bool { return lost.serials[serial] })
	reserved, err := c.HGet(t.Context(), account.keys()[0], "serial").Int()
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(kept), n)
	return slices.Sorted(maps.Values(kept)), reserved
}

func ignored(int) {}

func micros(score float64) time.Duration { return time.Duration(score) * time.Microsecond }

// busiest is the most moments in any second.
func busiest(all []time.Duration) (most int) {
	first := 0
	for i, at := range all {
		for at-all[first] >= time.Second {
			first++
		}
		most = max(most, i-first+1)
	}
	return most
}

func TestMembersShareAnAllowanceWithoutBursts(t *testing.T) {
	t.Parallel()
	c := client(t)
	const rate = 100
	began := time.Now()
	all, _ := moments(t, c, 2*rate, member(c, "a", rate), member(c, "b", rate), member(c, "c", rate))
	require.LessOrEqual(t, busiest(all), rate, "in any second")
	require.Greater(t, time.Since(began), 1900*time.Millisecond, "three members are no faster than one")
	status, err := look(t.Context(), c, account)
	require.NoError(t, err)
	require.EqualValues(t, 3, status.Workers)
	require.InDelta(t, rate, status.PerSecond, 1)
}

// Processes of a busy machine wake up late: what they are late by is made good, neither lost nor a burst.
func TestLateProcessesUseTheAllowanceAllTheSame(t *testing.T) {
	t.Parallel()
	c := client(t)
	const rate = 100
	var members []*Budget
	for _, name := range []string{"a", "b", "c", "d"} {
		b := member(c, name, rate)
		b.sleep = func(ctx context.Context, d time.Duration) error {
			if rand.IntN(2) == 0 {
				d += time.Duration(rand.IntN(40)) * time.Millisecond
			}
			return pause.For(ctx, d)
		}
		members = append(members, b)
	}
	all, reserved := moments(t, c, 3*rate, members...)
	require.LessOrEqual(t, busiest(all), rate, "in any second")
	require.Less(t, reserved, 4*rate, "giving up what is missed by 5 ms would take five")
}

func TestARequestWeighsWhatItCosts(t *testing.T) {
	t.Parallel()
	b := member(client(t), "a", 100)
	began := time.Now()
	for range 3 {
		require.NoError(t, b.Wait(t.Context(), 20))
	}
	require.Greater(t, time.Since(began), 390*time.Millisecond, "the first goes at once")
}

// One was too fast, says the service: all pause, and all are slower afterwards.
func TestARefusalSlowsEverybody(t *testing.T) {
	t.Parallel()
	c := client(t)
	a, b := member(c, "a", 200), member(c, "b", 200)
	require.NoError(t, a.Wait(t.Context(), 1))
	began := time.Now()
	a.Slow(t.Context(), 600*time.Millisecond)
	b.Slow(t.Context(), 300*time.Millisecond) // a request of b that was on its way belongs to the same strike
	require.NoError(t, b.Wait(t.Context(), 1))
	require.Greater(t, time.Since(began), 590*time.Millisecond)
	status, err := look(t.Context(), c, account)
	require.NoError(t, err)
	require.InDelta(t, 200/1.03, status.PerSecond, 1, "slower by one step")
	require.NoError(t, b.Wait(t.Context(), 60)) // 0.3 s until the next: what is refused then was sent after the pause
	require.NoError(t, b.Wait(t.Context(), 1))
	before := time.Now()
	b.Slow(t.Context(), 0)
	after := time.Now()
	paused, err := look(t.Context(), c, account)
	require.NoError(t, err)
	const pause, rounding = 2 * time.Second, 10 * time.Millisecond
	require.WithinRange(t, paused.PausedUntil, before.Add(pause-rounding), after.Add(pause+rounding), "without a word from the service the pause doubles")
	require.InDelta(t, 200/1.03/1.06, paused.PerSecond, 1, "the next step is larger")
}

func TestTheAllowanceRecovers(t *testing.T) {
	t.Parallel()
	c := client(t)
	b := member(c, "a", 200)
	b.Slow(t.Context(), time.Millisecond)
	slower, err := look(t.Context(), c, account)
	require.NoError(t, err)
	long := time.Now().Add(-time.Minute).UnixMicro()
	for range 10 { // a minute has passed, again and again
		require.NoError(t, c.HSet(t.Context(), account.keys()[0], "slowed", long).Err())
		require.NoError(t, b.Wait(t.Context(), 1))
	}
	again, err := look(t.Context(), c, account)
	require.NoError(t, err)
	require.Greater(t, again.PerSecond, slower.PerSecond)
	require.InDelta(t, 200, again.PerSecond, 1)
}

func TestParkingHoldsForAllUntilSomebodyUnparks(t *testing.T) {
	t.Parallel()
	c := client(t)
	a, b := member(c, "a", 200), member(c, "b", 200)
	require.NoError(t, Register(t.Context(), c, account, time.Now()))
	a.Park(t.Context(), time.Hour)
	err := b.Wait(t.Context(), 1)
	require.Equal(t, backfill.ClassParked, backfill.ClassOf(err))
	require.InDelta(t, time.Hour, backfill.RetryAfter(err), float64(time.Minute))
	all, err := List(t.Context(), c)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(time.Hour), ParkedUntil(all, "birdeye"), time.Minute)
	require.Zero(t, ParkedUntil(all, "binance"))
	require.NotZero(t, ParkedUntil(append(all, Status{Source: "birdeye", ID: "of a replaced key"}), "birdeye"))
	require.Zero(t, ParkedUntil(append(all, Status{Source: "birdeye", ID: "of another key", Workers: 1}), "birdeye"))
	unparked, err := Unpark(t.Context(), c, "birdeye")
	require.NoError(t, err)
	require.Equal(t, 1, unparked)
	require.NoError(t, b.Wait(t.Context(), 1))
}

// A pause that was meant for something else can be lifted, too.
func TestUnparkLiftsAPause(t *testing.T) {
	t.Parallel()
	c := client(t)
	b := member(c, "a", 200)
	require.NoError(t, Register(t.Context(), c, account, time.Now()))
	b.Slow(t.Context(), time.Hour)
	paused, err := look(t.Context(), c, account)
	require.NoError(t, err)
	require.NotZero(t, paused.PausedUntil)
	unparked, err := Unpark(t.Context(), c, "birdeye")
	require.NoError(t, err)
	require.Equal(t, 1, unparked)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	require.NoError(t, b.Wait(ctx, 1))
	unparked, err = Unpark(t.Context(), c, "birdeye")
	require.NoError(t, err)
	require.Zero(t, unparked, "there is nothing to lift")
}

// Redis goes away: a member keeps to its share of what it was sharing, and never has no limit.
func TestWithoutRedisAMemberKeepsToItsShare(t *testing.T) {
	t.Parallel()
	c := client(t)
	const rate = 100
	members := []*Budget{member(c, "a", rate), member(c, "b", rate), member(c, "c", rate), member(c, "d", rate)}
	for range 2 { // the first ones do not know yet of those that come later
		for _, b := range members {
			require.NoError(t, b.Wait(t.Context(), 1))
		}
	}
	require.NoError(t, c.Close())
	require.Greater(t, ask(t, 40, ignored, members[0]), 39*time.Second/(rate/4))
	require.Greater(t, ask(t, 150, ignored, members...), (150-4)*time.Second/rate, "each has one to begin with")
}

func TestAWaiterMayGiveUp(t *testing.T) {
	t.Parallel()
	b := member(client(t), "a", 0.1)
	require.NoError(t, b.Wait(t.Context(), 1))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, b.Wait(ctx, 1), context.DeadlineExceeded)
}

func TestAnAccountDoesNotTellItsKey(t *testing.T) {
	t.Parallel()
	require.Equal(t, account, NewAccount("birdeye", "distinctive-key"))
	require.NotEqual(t, account, NewAccount("birdeye", "other"))
	require.NotContains(t, account.ID, "distinctive")
	require.Equal(t, "keyless", NewAccount("binance", "").ID)
}

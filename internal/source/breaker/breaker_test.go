package breaker

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	errDown = backfill.WithClass(backfill.ClassUnavailable, errors.New("HTTP 500"))
	good    = candle.Token{Chain: candle.Solana, Address: "good"}
	bad     = candle.Token{Chain: candle.Solana, Address: "bad"}
)

// fake is a source that takes a second to answer, is down when set so, and never answers for bad.
type fake struct {
	down      atomic.Bool
	probeErr  atomic.Pointer[error]
	asked     atomic.Int64
	probes    atomic.Int64
	probing   atomic.Int64
	probedTwo atomic.Bool
}

func (f *fake) Name() string                                         { return "fake" }
func (f *fake) Cost(candle.Interval, candle.Range) (c backfill.Cost) { return c }
func (f *fake) Cut(candle.Interval) backfill.Cut                     { return backfill.Pages(1) }
func (f *fake) SettleDelay() time.Duration                           { return 0 }
func (f *fake) Supports(candle.Chain, candle.Interval) error         { return nil }

func (f *fake) Probe(ctx context.Context) error {
	f.probes.Add(1)
	if f.probing.Add(1) > 1 {
		f.probedTwo.Store(true)
	}
	defer f.probing.Add(-1)
	if err := f.probeErr.Load(); err != nil {
		return *err
	}
	return f.answer(ctx, good)
}

func (f *fake) Candles(ctx context.Context, token candle.Token, _ candle.Interval, _ candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		f.asked.Add(1)
		yield(backfill.Page{APICalls: 1}, f.answer(ctx, token))
	}
}

func (f *fake) answer(ctx context.Context, token candle.Token) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Second):
	}
	if f.down.Load() || token == bad {
		return errDown
	}
	return nil
}

func newBreaker(f *fake) *Breaker {
	return New(f, Config{Logger: slog.New(slog.DiscardHandler), Now: time.Now})
}

func ask(ctx context.Context, b *Breaker, token candle.Token) (class backfill.Class) {
	for _, err := range b.Candles(ctx, token, candle.Interval1m, candle.Range{From: 0, To: 60}) {
		if err != nil {
			return backfill.ClassOf(err)
		}
	}
	return ""
}

func TestOneBadTokenIsItsOwnTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := newBreaker(f)
		require.Equal(t, backfill.ClassUnavailable, ask(t.Context(), b, bad))
		require.EqualValues(t, 1, f.probes.Load(), "nobody else was asking")
		require.Empty(t, ask(t.Context(), b, good))

		var both sync.WaitGroup
		both.Go(func() { require.Equal(t, backfill.ClassUnavailable, ask(t.Context(), b, bad)) })
		synctest.Wait()
		b.note(b.begin()) // another begins later and is answered first
		both.Wait()
		require.EqualValues(t, 1, f.probes.Load(), "a later request was answered: no probe is needed")
	})
}

func TestWhenEverybodyFailsEverybodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.down.Store(true)
		b := newBreaker(f)
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				require.Equal(t, backfill.ClassSourceDown, ask(t.Context(), b, good))
				require.Empty(t, ask(t.Context(), b, good), "the second try waits until the source is back")
			})
		}
		time.Sleep(5 * time.Minute)
		require.EqualValues(t, 20, f.asked.Load(), "nobody asks a source that is down")
		require.InDelta(t, 50, f.probes.Load(), 10, "one probe for all, every five or six seconds")
		f.down.Store(false)
		all.Wait()
		require.EqualValues(t, 40, f.asked.Load())
		require.False(t, f.probedTwo.Load(), "one probe at a time")
	})
}

// parted is a source that answers each run from a fake of its own.
type parted struct {
	*fake
	runs map[string]*fake
}

func (p parted) For(m *manifest.Manifest) backfill.Source { return p.runs[m.Source] }

func TestRunsShareABreakerWhateverTheyAskFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := parted{&fake{}, map[string]*fake{"a": {}, "b": {}}}
		b := New(source, Config{Logger: slog.New(slog.DiscardHandler), Now: time.Now})
		source.down.Store(true)
		source.runs["a"].down.Store(true)
		first := b.For(&manifest.Manifest{Source: "a"}).(*Breaker)
		require.Equal(t, backfill.ClassSourceDown, ask(t.Context(), first, good))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		ask(ctx, b.For(&manifest.Manifest{Source: "b"}).(*Breaker), good)
		require.Zero(t, source.runs["b"].asked.Load(), "what one run found down, the other does not ask")
	})
}

func TestAWaiterMayGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.down.Store(true)
		b := newBreaker(f)
		require.Equal(t, backfill.ClassSourceDown, ask(t.Context(), b, good))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for range b.Candles(ctx, good, candle.Interval1m, candle.Range{From: 0, To: 60}) {
			require.Error(t, ctx.Err())
		}
		var other sync.WaitGroup
		other.Go(func() { require.Empty(t, ask(t.Context(), b, good)) })
		f.down.Store(false)
		other.Wait()
	})
}

func TestASourceThatRefusesTheProbeIsAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		limited := backfill.WithClass(backfill.ClassRateLimited, errors.New("HTTP 429"))
		f.probeErr.Store(&limited)
		require.Equal(t, backfill.ClassUnavailable, ask(t.Context(), newBreaker(f), bad))
	})
}

func TestFlapping(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := newBreaker(f)
		for range 10 {
			f.down.Store(true)
			require.Equal(t, backfill.ClassSourceDown, ask(t.Context(), b, good))
			f.down.Store(false)
			require.Empty(t, ask(t.Context(), b, good))
		}
	})
}

func TestCancelledRequestsSayNothingOfTheSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := newBreaker(f)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for _, err := range b.Candles(ctx, good, candle.Interval1m, candle.Range{From: 0, To: 60}) {
			require.ErrorIs(t, err, context.DeadlineExceeded)
		}
		require.Zero(t, f.probes.Load())
	})
}

func TestAnErrorThatNobodyClassifiedIsNoAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		unclassified := errors.New("connection reset")
		f.probeErr.Store(&unclassified)
		require.Equal(t, backfill.ClassSourceDown, ask(t.Context(), newBreaker(f), bad))
	})
}

func TestWhoStopsDuringTheProbeSpendsNoTry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		ctx, cancel := context.WithCancel(t.Context())
		b := newBreaker(f)
		time.AfterFunc(1500*time.Millisecond, cancel) // bad fails after a second, and the probe takes another
		require.Equal(t, backfill.ClassInterrupted, ask(ctx, b, bad))
		require.EqualValues(t, 1, f.probes.Load())
		require.Empty(t, ask(t.Context(), b, good), "nothing was decided")
	})
}

func TestAnAnswerDuringAProbeThatFailsCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		f.down.Store(true)
		b := newBreaker(f)
		var asking sync.WaitGroup
		asking.Go(func() { require.Equal(t, backfill.ClassUnavailable, ask(t.Context(), b, good)) })
		time.Sleep(1500 * time.Millisecond) // the probe is on its way
		b.note(b.begin())
		asking.Wait()
		require.EqualValues(t, 1, f.probes.Load())
	})
}

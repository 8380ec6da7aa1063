package backfill

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A store that says nothing is seen from ten seconds on.
func TestAnInsertWithoutAnAnswerIsSeen(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, nil)
		g.filler.Store = &hangingStore{}
		g.work(t, 1, 1)
		time.Sleep(9 * time.Second)
		_, ok := g.filler.Gate.Waiting()
		require.False(t, ok)
		time.Sleep(time.Second)
		wait, ok := g.filler.Gate.Waiting()
		require.True(t, ok)
		require.Equal(t, "no answer from clickhouse since 2000-01-01T00:00:00Z", wait.String())
		g.stop()
		require.Error(t, <-g.ended)
	})
}

// An insert that is given up is followed by the next: that is one silence, which began with the first.
func TestASilentStoreIsSilentSinceTheFirstInsert(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, nil)
		g.filler.Store = &silentStore{}
		g.work(t, 1, 1)
		time.Sleep(SilentAfter)
		for range 12 {
			synctest.Wait()
			wait, ok := g.filler.Gate.Waiting()
			require.True(t, ok)
			require.Contains(t, wait.String(), "no answer from clickhouse since 2000-01-01T00:00:00Z")
			time.Sleep(17 * time.Second)
		}
		g.stop()
		require.Error(t, <-g.ended)
	})
}

// A service that answers nobody lets requests run into their timeout, one after the other: what people are shown must not
// say in between that it goes on, nor that it began only then.
func TestQuestionsThatAreGivenUpAreOneSilence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var q Questions
		began := time.Now()
		for range 4 {
			back := q.Ask(time.Now)
			time.Sleep(30 * time.Second)
			wait, silent := q.Silent("birdeye", time.Now())
			require.True(t, silent)
			require.Equal(t, began, wait.Since)
			back(false)
			require.Equal(t, began, q.SilentSince(time.Now()))
			time.Sleep(8 * time.Second)
			again := q.Ask(time.Now)
			wait, silent = q.Silent("birdeye", time.Now())
			require.True(t, silent, "just asked again")
			require.Equal(t, began, wait.Since)
			again(false)
		}
		q.Ask(time.Now)(true)
		require.Equal(t, time.Now(), q.SilentSince(time.Now()), "it has answered")

		back := q.Ask(time.Now)
		time.Sleep(time.Second)
		back(false)
		time.Sleep(time.Hour) // nobody asks
		defer q.Ask(time.Now)(true)
		_, silent := q.Silent("birdeye", time.Now())
		require.False(t, silent)
	})
}

// What was fetched outlives a ledger that is away just before the insert.
func TestFillKeepsWhatItFetchedWhileTheLedgerIsAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, source, asked := &memoryStore{recorded: true}, &counting{}, 0
		_, err := filler(source, store, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, func(context.Context) (bool, error) {
			if asked++; asked < 600 {
				return false, WithClass(ClassStore, errors.New("connection refused"))
			}
			return true, nil
		})
		require.NoError(t, err)
		require.Equal(t, 1, source.asked())
		_, err = filler(source, store, 10_000).Fill(t.Context(), Admission{Run: lenient, Executions: 1}, hour, func(context.Context) (bool, error) {
			return false, WithClass(ClassStore, fmt.Errorf("ask: %w", ErrStale))
		})
		require.ErrorIs(t, err, ErrStale, "a run that was rebuilt is taken up again")
	})
}

func TestWaitDetailIsOneShortLine(t *testing.T) {
	t.Parallel()
	require.Empty(t, WaitDetail(nil))
	require.Equal(t, "a b c", WaitDetail(errors.New(" a\n\tb\x1b c ")))
	require.LessOrEqual(t, len(WaitDetail(errors.New(strings.Repeat("é", 1_000)))), maxWaitDetail+len("…"))
}

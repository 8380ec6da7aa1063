package dashboard

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// ledger answers with a run of a hundred chunks of which one more is done each time.
type ledger struct {
	asked atomic.Int64
	lost  atomic.Bool
}

func (l *ledger) state(_ context.Context, runID uuid.UUID) (backfill.LedgerState, error) {
	if l.lost.Load() {
		return backfill.LedgerState{}, backfill.ErrUnknownRun
	}
	s := backfill.LedgerState{AttemptChunks: 100, Phase: backfill.PhaseRunning}
	s.Run.Manifest.RunID = runID
	s.Progress.Succeeded = l.asked.Add(1)
	s.Progress.Inserted = s.Progress.Succeeded * 1000
	return s, nil
}

func newHub(l *ledger) *hub {
	return &hub{state: l.state, now: time.Now, logger: slog.New(slog.DiscardHandler), every: time.Second, watched: make(map[uuid.UUID]*watched)}
}

// Ten viewers cost what one costs, a slow one holds nobody up, and the poller ends with the last of them.
func TestAllViewersShareOnePoller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		h, run := newHub(&l), uuid.New()
		var polling sync.WaitGroup
		var leave []func()
		var views []chan Progress
		for i := range 10 {
			updates, stop, start, err := h.watch(run)
			require.NoError(t, err)
			require.Equal(t, i == 0, start, "the first one starts the poller")
			if start {
				polling.Go(func() { h.poll(t.Context()) })
			}
			leave, views = append(leave, stop), append(views, updates)
		}
		time.Sleep(10*time.Second + time.Millisecond)
		synctest.Wait()
		require.EqualValues(t, 11, l.asked.Load(), "once at once and once a second")
		for _, view := range views {
			p := <-view
			require.EqualValues(t, 11, p.Done, "a slow viewer sees the latest")
			require.InDelta(t, 1, p.ChunksPerSecond, 0.01)
			require.InDelta(t, 1000, p.CandlesPerSecond, 1)
			require.InDelta(t, 89, *p.SecondsLeft, 1)
		}
		for _, stop := range leave {
			stop()
		}
		polling.Wait()
		_, stop, start, err := h.watch(run)
		require.NoError(t, err)
		require.True(t, start, "the next viewer starts it again")
		stop()
	})
}

func TestALostRunEndsItsStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l ledger
		h := newHub(&l)
		updates, stop, _, err := h.watch(uuid.New())
		require.NoError(t, err)
		var polling sync.WaitGroup
		polling.Go(func() { h.poll(t.Context()) })
		require.False(t, (<-updates).Ended)
		l.lost.Store(true)
		require.True(t, (<-updates).Ended)
		stop()
		polling.Wait()
	})
}

func TestViewersAreBounded(t *testing.T) {
	h := newHub(&ledger{})
	for range mostWatched {
		_, _, _, err := h.watch(uuid.New())
		require.NoError(t, err)
	}
	_, _, _, err := h.watch(uuid.New())
	require.ErrorIs(t, err, errTooManyViewers)
	var run uuid.UUID
	for run = range h.watched {
		break
	}
	for range mostViewers - mostWatched {
		_, _, _, err := h.watch(run)
		require.NoError(t, err)
	}
	_, _, _, err = h.watch(run)
	require.ErrorIs(t, err, errTooManyViewers)
}

func TestProgressOfARunWithoutChunks(t *testing.T) {
	require.Equal(t, 100.0, Progress{}.Percent())
	require.Equal(t, 50.0, Progress{Chunks: 4, Done: 2}.Percent())
}

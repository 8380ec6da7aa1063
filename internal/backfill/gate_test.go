package backfill

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/pause"
)

// refusingStore takes nothing while it has an error.
type refusingStore struct {
	mu     sync.Mutex
	err    error
	writes int
	stored map[ChunkID]int
}

func (s *refusingStore) WriteChunk(_ context.Context, w ChunkWrite) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writes++
	if s.err != nil {
		return false, s.err
	}
	if s.stored == nil {
		s.stored = make(map[ChunkID]int)
	}
	s.stored[w.Chunk.ID]++
	return true, nil
}

func (s *refusingStore) Deduplicate(_ context.Context, _ Run, _ Chunk, _ string, candles []candle.Candle) ([]candle.Candle, int64) {
	return candles, 0
}

func (s *refusingStore) become(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = err
}

func (s *refusingStore) count() (writes, stored int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.writes, len(s.stored)
}

// counting is a source that counts what it is asked.
type counting struct {
	pages
	mu    sync.Mutex
	calls int
}

func (c *counting) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[Page, error] {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.calls++
	return c.pages.Candles(ctx, token, interval, r)
}

func (c *counting) asked() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls
}

func refusal(reason WaitReason) error {
	return &ClassError{Class: ClassStore, Reason: reason, Err: errors.New("code: 243, no space left")}
}

// lockedBuffer takes the log of a worker while the test reads it.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// gated is a worker of four slots with a gate, over twelve chunks.
type gated struct {
	store  *refusingStore
	source *counting
	log    lockedBuffer
	filler *Filler
	ended  chan error
	stop   context.CancelFunc
}

func newGated(t *testing.T, check func(context.Context) error) *gated {
	t.Helper()
	g := &gated{store: &refusingStore{}, source: &counting{}, ended: make(chan error, 100)}
	g.source.list = []Page{{Candles: []candle.Candle{at(0, 1)}, APICalls: 1}}
	g.filler = filler(g.source, g.store, 10_000)
	g.filler.Clock = hostClock(time.Now)
	g.filler.Gate = &StoreGate{Check: check, Logger: slog.New(slog.NewTextHandler(&g.log, nil)), Now: time.Now}
	return g
}

// work fills chunks in some slots, as a worker does.
func (g *gated) work(t *testing.T, slots, chunks int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	g.stop = cancel
	next := make(chan int, chunks)
	for i := range chunks {
		next <- i
	}
	close(next)
	for range slots {
		go func() {
			for i := range next {
				chunk := NewChunk(testToken, candle.Interval1m, candle.Range{From: 0, To: int64(60 * (i + 1))})
				_, err := g.filler.Fill(ctx, Admission{Run: lenient, Executions: 1}, chunk, yes)
				g.ended <- err
			}
		}()
	}
}

// While the store refuses, nothing more is fetched, what was fetched is kept for as long as it takes, and one chunk at a
// time tries: for hours, and exactly once in the end.
func TestWhileTheStoreRefusesNothingMoreIsBought(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, nil)
		g.store.become(refusal(WaitDisk))
		g.work(t, 4, 12)
		time.Sleep(3 * time.Hour)
		require.LessOrEqual(t, g.source.asked(), 4, "what was under way when the first insert failed")
		bought := g.source.asked()
		writes, _ := g.store.count()
		require.LessOrEqual(t, writes, 4+3*3600/5+1, "one try in five seconds by all chunks together")
		wait, ok := g.filler.Gate.Waiting()
		require.True(t, ok)
		require.Equal(t, WaitDisk, wait.Reason)
		require.Equal(t, 3*time.Hour, time.Since(wait.Since))
		require.Contains(t, wait.String(), "clickhouse takes nothing since 2000-01-01T00:00:00Z (disk): ")

		g.store.become(nil)
		for range 12 {
			require.NoError(t, <-g.ended)
		}
		require.Equal(t, 12, g.source.asked(), "%d of them before the store took candles again", bought)
		_, stored := g.store.count()
		require.Equal(t, 12, stored)
		_, ok = g.filler.Gate.Waiting()
		require.False(t, ok)
	})
}

// A warning is logged at the first refusal and each minute, not at each try, and when it is over.
func TestRefusalsAreLoggedEachMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, nil)
		g.store.become(refusal(WaitRights))
		g.work(t, 2, 2)
		synctest.Wait()
		require.Equal(t, 1, strings.Count(g.log.String(), "level=WARN"), "at once")
		require.Contains(t, g.log.String(), "reason=rights")
		time.Sleep(10*time.Minute + time.Second)
		require.InDelta(t, 11, strings.Count(g.log.String(), "level=WARN"), 1)
		g.store.become(refusal(WaitMemory))
		before := strings.Count(g.log.String(), "level=WARN")
		time.Sleep(6 * time.Second)
		require.Equal(t, before+1, strings.Count(g.log.String(), "level=WARN"), "another reason is logged at once")
		g.store.become(nil)
		require.NoError(t, <-g.ended)
		require.NoError(t, <-g.ended)
		require.Contains(t, g.log.String(), "takes candles again")
	})
}

// A store that refuses before anything was fetched is asked by itself; one chunk goes ahead when it finds nothing wrong.
func TestOneChunkGoesAheadWhenNobodyHasCandles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var checked atomic.Int64
		var healed atomic.Bool
		g := newGated(t, func(context.Context) error {
			if checked.Add(1); !healed.Load() {
				return refusal(WaitRights)
			}
			return nil
		})
		g.filler.Gate.Refuse(t.Context(), refusal(WaitRights))
		g.store.become(refusal(WaitRights))
		g.work(t, 4, 8)
		time.Sleep(time.Minute + time.Second)
		require.Zero(t, g.source.asked())
		require.InDelta(t, 12, checked.Load(), 1)
		healed.Store(true) // the check says so; the store still refuses
		time.Sleep(time.Hour)
		require.Equal(t, 1, g.source.asked(), "the next try is one chunk")
		g.store.become(nil)
		for range 8 {
			require.NoError(t, <-g.ended)
		}
		require.Equal(t, 8, g.source.asked())
	})
}

// A chunk that is refused for what it is does not keep the others from being filled for ever.
func TestARefusedChunkDoesNotStandInTheWayForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, nil)
		poisoned := NewChunk(testToken, candle.Interval1m, candle.Range{From: 0, To: 60})
		g.filler.Store = poisonedStore{g.store, poisoned.ID}
		g.work(t, 3, 6)
		for range 5 {
			require.NoError(t, <-g.ended)
		}
		g.stop()
		require.Error(t, <-g.ended)
	})
}

type poisonedStore struct {
	*refusingStore
	chunk ChunkID
}

func (s poisonedStore) WriteChunk(ctx context.Context, w ChunkWrite) (bool, error) {
	if w.Chunk.ID == s.chunk {
		return false, refusal(WaitMemory)
	}
	return s.refusingStore.WriteChunk(ctx, w)
}

// A worker that stops, or a chunk that is no longer wanted, lets go at once, wherever it waits.
func TestNobodyWaitsAtTheGateAfterTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGated(t, nil)
		g.store.become(refusal(WaitParts))
		g.work(t, 4, 4)
		time.Sleep(time.Minute + time.Second) // between two tries
		began := time.Now()
		g.stop()
		for range 4 {
			require.Equal(t, ClassInterrupted, ClassOf(<-g.ended))
		}
		require.Zero(t, time.Since(began))
	})
}

// hangingStore does not answer.
type hangingStore struct{ refusingStore }

func (s *hangingStore) WriteChunk(ctx context.Context, _ ChunkWrite) (bool, error) {
	<-ctx.Done()
	return false, ctx.Err()
}

// silentStore is given up by its client after a minute.
type silentStore struct{ refusingStore }

func (s *silentStore) WriteChunk(ctx context.Context, _ ChunkWrite) (bool, error) {
	if pause.For(ctx, time.Minute) != nil {
		return false, ctx.Err()
	}
	return false, &ClassError{Class: ClassStore, Reason: WaitNoAnswer, Err: errors.New("i/o timeout")}
}

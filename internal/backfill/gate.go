package backfill

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// StoreName is the store of candles in waits, logs and metrics, LedgerName that of the ledger.
const (
	StoreName  = "clickhouse"
	LedgerName = "redis"
)

// The times of a StoreGate.
const (
	// storePause is between two tries of a store that refuses.
	storePause = 5 * time.Second
	// warnEvery is the pause between two warnings about the same refusal.
	warnEvery = time.Minute
	// perhapsTheChunk is after how long a refusal that may be the chunk's own fault is tried with another one.
	perhapsTheChunk = 10 * time.Minute
)

// StoreGate keeps the chunks of a process from buying candles that the store does not take. It is open while the last
// insert worked. While it is closed, chunks that have candles in hand keep them, because these have been paid for, and try
// one at a time; the others wait before they fetch. A nil gate is always open.
type StoreGate struct {
	// Check asks whether the store would take anything. It decides when no chunk has candles to try with.
	Check  func(context.Context) error
	Logger *slog.Logger
	Now    func() time.Time

	// inserts are those under way.
	inserts Questions

	mu sync.Mutex
	// refused is nil while the gate is open.
	refused *refused
	// loaded counts the chunks that have candles in hand and wait.
	loaded int
}

// refused is one time that the store refuses.
type refused struct {
	since, warned time.Time
	err           error
	// tryAt is when the next chunk that has candles may try to write them, lookAt when the next one that has none may ask.
	tryAt, lookAt time.Time
	// ended is closed when the store takes candles again.
	ended chan struct{}
	// writer is held by the chunk that tries to write, scout by the one that asks before it fetches.
	writer, scout chan struct{}
}

// Waiting reports since when the store refuses, or does not answer, and why; ok is false while all is well.
func (g *StoreGate) Waiting() (wait Wait, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused != nil {
		return OutageWait(StoreName, g.refused.since, g.refused.err), true
	}
	return g.inserts.Silent(StoreName, g.Now())
}

// Refuse closes the gate, or says that it stays closed. A warning says so at once, and each minute.
func (g *StoreGate) Refuse(ctx context.Context, err error) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.Now()
	if g.refused == nil {
		g.refused = &refused{since: g.inserts.SilentSince(now), ended: make(chan struct{}), writer: make(chan struct{}, 1), scout: make(chan struct{}, 1)}
	}
	r := g.refused
	changed := r.err == nil || ReasonOf(r.err) != ReasonOf(err)
	r.err, r.tryAt, r.lookAt = err, now.Add(storePause), now.Add(storePause)
	if !changed && now.Sub(r.warned) < warnEvery {
		return
	}
	r.warned = now
	g.Logger.WarnContext(ctx, "ClickHouse takes no candles, chunks keep what they have and nothing more is fetched",
		"reason", ReasonOf(err), "since", r.since.UTC(), "err", err)
}

// accept opens the gate.
func (g *StoreGate) accept(ctx context.Context) {
	if g == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.refused == nil {
		return
	}
	g.Logger.InfoContext(ctx, "ClickHouse takes candles again", "after", g.Now().Sub(g.refused.since).Round(time.Second))
	close(g.refused.ended)
	g.refused = nil
}

// asking notes that an insert is under way; back that it was answered or, by its error, that nothing came back.
func (g *StoreGate) asking() (back func(error)) {
	if g == nil {
		return func(error) {}
	}
	inserted := g.inserts.Ask(g.Now)
	return func(err error) {
		reason := ReasonOf(err)
		inserted(err == nil || reason != WaitNoAnswer && reason != WaitUnreachable)
	}
}

// state is the refusal that is going on, or nil.
func (g *StoreGate) state() *refused {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.refused
}

// admit returns when candles may be fetched: at once while the gate is open. While it is closed and no chunk has candles to
// try with, one at a time is let through when Check finds nothing wrong: what it fetches is the next try. ok is false when ctx
// ended before; leave must be called when the chunk has ended.
func (g *StoreGate) admit(ctx context.Context) (leave func(), ok bool) {
	for r := g.state(); r != nil; r = g.state() {
		select {
		case <-r.ended:
		case <-ctx.Done():
			return nil, false
		case r.scout <- struct{}{}:
			if g.scout(ctx, r) {
				return func() { <-r.scout }, true
			}
			<-r.scout
		}
	}
	return func() {}, ctx.Err() == nil
}

// scout waits for the time of the next look and reports whether the chunk may be the next try.
func (g *StoreGate) scout(ctx context.Context, r *refused) bool {
	if !g.until(ctx, r, &r.lookAt) || !g.needsScout(r) {
		return false
	}
	if g.Check == nil {
		return true
	}
	if err := g.Check(ctx); err != nil {
		if ctx.Err() == nil {
			g.Refuse(ctx, err)
		}
		return false
	}
	return true
}

// needsScout reports whether no chunk that has candles shows how the store is. A chunk that has been refused for long may
// be refused for what it is, and must not keep all others from trying.
func (g *StoreGate) needsScout(r *refused) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.Now()
	r.lookAt = now.Add(storePause)
	return g.loaded == 0 || perhapsTheChunks(ReasonOf(r.err)) && now.Sub(r.since) >= perhapsTheChunk
}

// perhapsTheChunks reports whether a store may refuse one chunk for this reason and take others.
func perhapsTheChunks(reason WaitReason) bool { return reason == WaitMemory || reason == WaitOther }

// turn returns when a chunk that has candles may try to write them: at once while the gate is open, else in its turn. It
// returns false when ctx ends. tried must be called after the try.
func (g *StoreGate) turn(ctx context.Context) (tried func(), ok bool) {
	r := g.state()
	if r == nil {
		return func() {}, ctx.Err() == nil
	}
	g.load(1)
	unload := func() { g.load(-1) }
	select {
	case <-r.ended:
		return unload, ctx.Err() == nil
	case <-ctx.Done():
		unload()
		return nil, false
	case r.writer <- struct{}{}:
	}
	tried = func() { <-r.writer; unload() }
	if !g.until(ctx, r, &r.tryAt) && ctx.Err() != nil {
		tried()
		return nil, false
	}
	return tried, true
}

func (g *StoreGate) load(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.loaded += n
}

// until waits for a moment of the refusal, which others may put off. It returns false when the refusal or ctx ended before.
func (g *StoreGate) until(ctx context.Context, r *refused, at *time.Time) bool {
	for {
		g.mu.Lock()
		left := at.Sub(g.Now())
		g.mu.Unlock()
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(left)
		select {
		case <-r.ended:
		case <-ctx.Done():
		case <-timer.C:
			continue
		}
		timer.Stop()
		return false
	}
}

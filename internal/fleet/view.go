package fleet

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/source/budget"
)

// Queue is what a View asks the queue.
type Queue interface {
	// Workers counts the workers that are running.
	Workers() (int, error)
}

// Ledger is what a View asks the ledger.
type Ledger interface {
	// Waits lists what workers wait for, whichever run it is about.
	Waits(ctx context.Context) ([]backfill.Wait, error)
}

// View is how one process sees the fleet. It is safe for concurrent use.
type View struct {
	Queue  Queue
	Ledger Ledger
	// Budgets lists the accounts of sources.
	Budgets func(ctx context.Context) ([]budget.Status, error)
	// Sources are the names of all sources.
	Sources []string
	// Stores are the pings of the stores that Watch looks after, by their names.
	Stores map[string]func(context.Context) error

	watches atomic.Pointer[[]*storeWatch]

	mu   sync.Mutex
	last look
	// began is since when this process has seen the waits that nobody shows.
	began map[string]time.Time
}

// look is what was last seen of the workers.
type look struct {
	at      time.Time
	workers int // -1 = not known
	waits   []backfill.Wait
	budgets []budget.Status
}

// lookFor is how long what was seen is kept by a process that asks about many runs again and again.
const lookFor = 2 * time.Second

// look looks at the workers, at most once in a while.
func (v *View) look(ctx context.Context, now time.Time) look {
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.last.at) < lookFor {
		return v.last
	}
	seen := look{at: now}
	var err error
	if seen.workers, err = v.Queue.Workers(); err != nil {
		seen.workers = -1
	}
	if seen.waits, err = v.Ledger.Waits(ctx); err != nil {
		seen.waits = nil
	}
	if seen.budgets, err = v.Budgets(ctx); err != nil {
		seen.budgets = nil
	}
	v.last = seen
	return seen
}

// held is the wait for a source whose quota is used up, or that everybody leaves alone for a while, because it said that it
// was sent too many requests. Pauses of seconds are everyday's.
func held(budgets []budget.Status, source string, now time.Time) (wait backfill.Wait, ok bool) {
	if until := budget.ParkedUntil(budgets, source); !until.IsZero() {
		return backfill.Wait{On: source, Reason: backfill.WaitParked, Since: now.UTC(), Until: until}, true
	}
	until := budget.PausedUntil(budgets, source)
	return backfill.Wait{On: source, Reason: backfill.WaitPaused, Since: now.UTC(), Until: until}, until.Sub(now) >= backfill.SilentAfter
}

// accountWait is held for one account, however short the pause is.
func accountWait(s budget.Status, now time.Time) (wait backfill.Wait, ok bool) {
	switch {
	case !s.ParkedUntil.IsZero():
		return backfill.Wait{On: s.Source, Reason: backfill.WaitParked, Since: now.UTC(), Until: s.ParkedUntil}, true
	case !s.PausedUntil.IsZero():
		return backfill.Wait{On: s.Source, Reason: backfill.WaitPaused, Since: now.UTC(), Until: s.PausedUntil}, true
	}
	return backfill.Wait{}, false
}

// AccountWaits are what an account waits for: its own pause, and what workers show of its source.
func AccountWaits(s budget.Status, shown []backfill.Wait, now time.Time) []backfill.Wait {
	var waits []backfill.Wait
	if wait, ok := accountWait(s, now); ok {
		waits = append(waits, wait)
	}
	for _, w := range shown {
		if w.On == s.Source {
			waits = append(waits, w)
		}
	}
	return waits
}

// noWorker is the wait for somebody to work.
func noWorker(now time.Time) backfill.Wait {
	return backfill.Wait{On: "worker", Reason: backfill.WaitNoWorker, Since: now.UTC()}
}

// remember dates the waits that nobody shows back to when this process saw them first.
func (v *View) remember(waits []backfill.Wait) []backfill.Wait {
	v.mu.Lock()
	defer v.mu.Unlock()
	began := make(map[string]time.Time, len(waits))
	for i, w := range waits {
		key := w.On + " " + string(w.Reason)
		began[key] = w.Since
		if since, before := v.began[key]; before {
			began[key], waits[i].Since = since, since
		}
	}
	v.began = began
	return waits
}

// Waits returns what anybody who works here waits for, whichever run it is about: stores that refuse or do not respond, what
// workers show, sources that are to be left alone, and that no worker is there. Without Redis that is all that can be said.
func (v *View) Waits(ctx context.Context, now time.Time) []backfill.Wait {
	outages := v.Outages(backfill.SilentAfter)
	if _, away := v.OutageOf(backfill.LedgerName); away {
		return outages
	}
	seen := v.look(ctx, now)
	var derived []backfill.Wait
	if seen.workers == 0 {
		derived = append(derived, noWorker(now))
	}
	for _, source := range v.Sources {
		if wait, ok := held(seen.budgets, source, now); ok {
			derived = append(derived, wait)
		}
	}
	return append(WithOutages(seen.waits, outages), v.remember(derived)...)
}

// metricsTimeout bounds how long a scrape waits for Redis.
const metricsTimeout = 3 * time.Second

// WaitsForMetrics returns Waits for a process that shows them as metrics.
func (v *View) WaitsForMetrics(now func() time.Time) func() []backfill.Wait {
	return func() []backfill.Wait {
		ctx, cancel := context.WithTimeout(context.Background(), metricsTimeout)
		defer cancel()
		return v.Waits(ctx, now())
	}
}

// WithOutages adds the outages that this process sees itself to what workers show: their view of a store is the longer one.
func WithOutages(shown, outages []backfill.Wait) []backfill.Wait {
	all := slices.Clone(shown)
	for _, outage := range outages {
		if !slices.ContainsFunc(shown, func(w backfill.Wait) bool { return w.On == outage.On }) {
			all = append(all, outage)
		}
	}
	return all
}

// WaitsOf returns what a run waits for, the longest first: what workers show that have chunks of it in hand, else that no
// worker is running, else that its source is to be left alone, else what keeps all workers from taking its chunks up; and stores
// that this process sees fail, where it watches them. It is for people to see: what cannot be read is left out.
func (v *View) WaitsOf(ctx context.Context, state backfill.LedgerState, now time.Time) []backfill.Wait {
	if state.Result != nil || state.Pending == 0 {
		return nil
	}
	return WithOutages(v.runWaits(ctx, state, now), v.Outages(backfill.SilentAfter))
}

func (v *View) runWaits(ctx context.Context, state backfill.LedgerState, now time.Time) []backfill.Wait {
	seen := v.look(ctx, now)
	own := slices.DeleteFunc(slices.Clone(state.Waits), func(w backfill.Wait) bool {
		return w.Reason == backfill.WaitForeign && w.Workers < seen.workers // others take its chunks up
	})
	switch {
	case len(own) > 0:
		return own
	case seen.workers == 0:
		return []backfill.Wait{noWorker(now)}
	}
	m := &state.Run.Manifest
	if wait, ok := held(seen.budgets, m.Source, now); ok {
		return []backfill.Wait{wait}
	}
	needed := append([]string{backfill.StoreName, m.Source}, m.Fallbacks...)
	var hold []backfill.Wait
	for _, w := range seen.waits {
		if seen.workers > 0 && w.Workers >= seen.workers && slices.Contains(needed, w.On) {
			hold = append(hold, w)
		}
	}
	return hold
}

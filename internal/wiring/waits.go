package wiring

import (
	"context"
	"slices"
	"sync"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/source/budget"
	"quantbot/internal/source/register"
)

// fleetViewFor is how long what the workers show is kept by a process that asks about many runs again and again.
const fleetViewFor = 2 * time.Second

// fleetView is what was last seen of the workers.
type fleetView struct {
	mu      sync.Mutex
	at      time.Time
	workers int // -1 = not known
	waits   []backfill.Wait
	budgets []budget.Status
	// began is since when this process has seen the waits that nobody shows.
	began map[string]time.Time
}

// fleet looks at the workers, at most once in a while.
func (s *Stores) fleet(ctx context.Context, now time.Time) (workers int, waits []backfill.Wait, budgets []budget.Status) {
	v := &s.view
	v.mu.Lock()
	defer v.mu.Unlock()
	if now.Sub(v.at) < fleetViewFor {
		return v.workers, v.waits, v.budgets
	}
	v.at = now
	var err error
	if v.workers, err = s.Queue.Workers(); err != nil {
		v.workers = -1
	}
	if v.waits, err = s.Ledger.Waits(ctx); err != nil {
		v.waits = nil
	}
	if v.budgets, err = budget.List(ctx, s.Redis); err != nil {
		v.budgets = nil
	}
	return v.workers, v.waits, v.budgets
}

// held is the wait for a source whose quota is used up, or that everybody leaves alone for a while, because it said that it was
// asked too fast. Pauses of seconds are everyday's.
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
func (v *fleetView) remember(waits []backfill.Wait) []backfill.Wait {
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

// FleetWaits is what anybody who works here waits for, whichever run it is about: stores that refuse or do not answer, what
// workers show, sources that are to be left alone, and that no worker is there. Without Redis that is all that can be said.
func (s *Stores) FleetWaits(ctx context.Context, now time.Time) []backfill.Wait {
	outages := s.Outages(backfill.SilentAfter)
	if _, away := s.outageOf(backfill.LedgerName); away {
		return outages
	}
	workers, shown, budgets := s.fleet(ctx, now)
	var derived []backfill.Wait
	if workers == 0 {
		derived = append(derived, noWorker(now))
	}
	for _, source := range register.Names() {
		if wait, ok := held(budgets, source, now); ok {
			derived = append(derived, wait)
		}
	}
	return append(withOutages(shown, outages), s.view.remember(derived)...)
}

// waitsForMetricsWithin bounds what a scrape waits for Redis.
const waitsForMetricsWithin = 3 * time.Second

// WaitsForMetrics returns FleetWaits for a process that shows them as metrics.
func (s *Stores) WaitsForMetrics(now func() time.Time) func() []backfill.Wait {
	return func() []backfill.Wait {
		ctx, cancel := context.WithTimeout(context.Background(), waitsForMetricsWithin)
		defer cancel()
		return s.FleetWaits(ctx, now())
	}
}

// withOutages adds the outages that this process sees itself to what workers show: their view of a store is the longer one.
func withOutages(shown, outages []backfill.Wait) []backfill.Wait {
	all := slices.Clone(shown)
	for _, outage := range outages {
		if !slices.ContainsFunc(shown, func(w backfill.Wait) bool { return w.On == outage.On }) {
			all = append(all, outage)
		}
	}
	return all
}

// WaitsOf tells what a run waits for, the longest first: what workers show that have chunks of it in hand, else that no
// worker is running, else that its source is to be left alone, else what keeps all workers from taking its chunks up; and stores
// that this process sees fail, where it watches them. It is for people to see: what cannot be read is left out.
func (s *Stores) WaitsOf(ctx context.Context, state backfill.LedgerState, now time.Time) []backfill.Wait {
	if state.Result != nil || state.Pending == 0 {
		return nil
	}
	return withOutages(s.runWaits(ctx, state, now), s.Outages(backfill.SilentAfter))
}

func (s *Stores) runWaits(ctx context.Context, state backfill.LedgerState, now time.Time) []backfill.Wait {
	workers, waits, budgets := s.fleet(ctx, now)
	own := slices.DeleteFunc(slices.Clone(state.Waits), func(w backfill.Wait) bool {
		return w.Reason == backfill.WaitForeign && w.Workers < workers // others take its chunks up
	})
	switch {
	case len(own) > 0:
		return own
	case workers == 0:
		return []backfill.Wait{noWorker(now)}
	}
	if wait, ok := held(budgets, state.Run.Manifest.Source, now); ok {
		return []backfill.Wait{wait}
	}
	asked := append([]string{backfill.StoreName, state.Run.Manifest.Source}, state.Run.Manifest.Fallbacks...)
	var hold []backfill.Wait
	for _, w := range waits {
		if workers > 0 && w.Workers >= workers && slices.Contains(asked, w.On) {
			hold = append(hold, w)
		}
	}
	return hold
}

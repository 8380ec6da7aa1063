package wiring

import (
	"context"
	"slices"
	"sync"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/source/budget"
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

// paused is the wait for a source that everybody leaves alone for a while, because it said that it was asked too fast. Pauses of
// seconds are everyday's, and parking is told by itself.
func paused(budgets []budget.Status, source string, now time.Time) (wait backfill.Wait, ok bool) {
	until := budget.PausedUntil(budgets, source)
	if until.Sub(now) < backfill.SilentAfter || !budget.ParkedUntil(budgets, source).IsZero() {
		return backfill.Wait{}, false
	}
	return backfill.Wait{On: source, Reason: backfill.WaitPaused, Since: now.UTC(), Until: until}, true
}

// WaitsOf tells what a run waits for, the longest first: what workers show that have chunks of it in hand, else that no
// worker is running, else that its source is to be left alone, else what keeps all workers from taking its chunks up. It is for
// people to see: what cannot be read is left out.
func (s *Stores) WaitsOf(ctx context.Context, state backfill.LedgerState, now time.Time) []backfill.Wait {
	if state.Result != nil || state.Pending == 0 {
		return nil
	}
	workers, waits, budgets := s.fleet(ctx, now)
	own := slices.DeleteFunc(slices.Clone(state.Waits), func(w backfill.Wait) bool {
		return w.Reason == backfill.WaitForeign && w.Workers < workers // others take its chunks up
	})
	switch {
	case len(own) > 0:
		return own
	case workers == 0:
		return []backfill.Wait{{On: "worker", Reason: backfill.WaitNoWorker, Since: now.UTC()}}
	}
	if wait, ok := paused(budgets, state.Run.Manifest.Source, now); ok {
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

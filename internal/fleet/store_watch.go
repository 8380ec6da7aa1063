package fleet

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"quantbot/internal/backfill"
)

// storeWatch pings a store again and again, so that an outage is known with its beginning before somebody
// needs the store.
type storeWatch struct {
	name string
	ping func(context.Context) error
	now  func() time.Time

	mu sync.Mutex
	// since is when the first ping was sent that did not succeed; zero while all is well. err is what came back; nil while nothing
	// did.
	since time.Time
	err   error
}

// run pings until ctx ends.
func (w *storeWatch) run(ctx context.Context) {
	ticker := time.NewTicker(backfill.WaitEvery)
	defer ticker.Stop()
	for {
		w.ask(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (w *storeWatch) ask(ctx context.Context) {
	w.mu.Lock()
	if w.since.IsZero() {
		w.since, w.err = w.now(), nil
	}
	w.mu.Unlock()
	asking, cancel := context.WithTimeout(ctx, backfill.SilentAfter)
	defer cancel()
	err := w.ping(asking)
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err = err; err == nil {
		w.since = time.Time{}
	}
}

// outage is what the store keeps everybody waiting with; a silence is one when it has lasted for this long.
func (w *storeWatch) outage(silence time.Duration) (wait backfill.Wait, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.since.IsZero():
		return backfill.Wait{}, false
	case w.err == nil || backfill.ReasonOf(w.err) == backfill.WaitNoAnswer:
		return backfill.Wait{On: w.name, Reason: backfill.WaitNoAnswer, Since: w.since}, w.now().Sub(w.since) >= silence
	}
	return backfill.OutageWait(w.name, w.since, w.err), true
}

// Watch asks the stores every two seconds whether they respond, until stop is called; Outages then knows.
func (v *View) Watch(ctx context.Context, now func() time.Time) (stop func()) {
	var watches []*storeWatch
	for name, ping := range v.Stores {
		watches = append(watches, &storeWatch{name: name, ping: ping, now: now})
	}
	slices.SortFunc(watches, func(a, b *storeWatch) int { return -strings.Compare(a.name, b.name) }) // Redis first: all depend on it
	v.watches.Store(&watches)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, w := range watches {
		running.Go(func() { w.run(ctx) })
	}
	return func() { cancel(); running.Wait() }
}

// Outages returns the waits for stores that refuse, or have not responded for this long. Only what Watch sees is known.
func (v *View) Outages(silence time.Duration) []backfill.Wait {
	watches := v.watches.Load()
	if watches == nil {
		return nil
	}
	var outages []backfill.Wait
	for _, w := range *watches {
		if wait, ok := w.outage(silence); ok {
			outages = append(outages, wait)
		}
	}
	return outages
}

// OutageOf returns the wait for one store.
func (v *View) OutageOf(name string) (wait backfill.Wait, ok bool) {
	for _, wait := range v.Outages(backfill.SilentAfter) {
		if wait.On == name {
			return wait, true
		}
	}
	return backfill.Wait{}, false
}

// workersTimeout bounds the question what workers show: the response only makes a sentence better.
const workersTimeout = time.Second

// AsWorkersSeeIt says an outage of ClickHouse in the words, and with the beginning, that workers show, where they show one: it
// is the same in every place then. Other errors stay as they are.
func (v *View) AsWorkersSeeIt(ctx context.Context, err error) error {
	if _, outage := errors.AsType[*backfill.OutageError](err); !outage {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, workersTimeout)
	defer cancel()
	waits, unread := v.Ledger.Waits(ctx)
	if unread != nil {
		return err
	}
	for _, wait := range waits {
		if wait.On == backfill.StoreName {
			return &backfill.OutageError{Wait: wait, Err: err}
		}
	}
	return err
}

package wiring

import (
	"context"
	"errors"
	"sync"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
)

// storeWatch asks a store again and again whether it answers, so that an outage is known with its beginning before somebody
// needs the store.
type storeWatch struct {
	name string
	ping func(context.Context) error
	now  func() time.Time

	mu sync.Mutex
	// since is when the question was asked that was the first to get no good answer; zero while all is well. err is what came
	// back; nil while nothing did.
	since time.Time
	err   error
}

// run asks until ctx ends.
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

// Watch asks Redis and ClickHouse every two seconds whether they answer, until stop is called; Outages then knows.
func (s *Stores) Watch(ctx context.Context, now func() time.Time) (stop func()) {
	watches := []*storeWatch{
		{name: backfill.LedgerName, ping: s.pingRedis, now: now},
		{name: backfill.StoreName, ping: s.History.Ping, now: now},
	}
	s.watches.Store(&watches)
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	for _, w := range watches {
		running.Go(func() { w.run(ctx) })
	}
	return func() { cancel(); running.Wait() }
}

// Outages are the stores that refuse, or have not answered for this long. It knows only what Watch sees.
func (s *Stores) Outages(silence time.Duration) []backfill.Wait {
	watches := s.watches.Load()
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

// outageOf is the outage of one store.
func (s *Stores) outageOf(name string) (wait backfill.Wait, ok bool) {
	for _, wait := range s.Outages(backfill.SilentAfter) {
		if wait.On == name {
			return wait, true
		}
	}
	return backfill.Wait{}, false
}

// AsWorkersSeeIt says an outage of ClickHouse in the words, and with the beginning, that workers show, where they show one: it
// is the same in every place then. Other errors stay as they are.
func AsWorkersSeeIt(ctx context.Context, cfg config.Config, err error) error {
	if _, outage := errors.AsType[*backfill.OutageError](err); !outage {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWorkersWithin)
	defer cancel()
	stores, away := OpenRedis(ctx, cfg)
	if away != nil {
		return err // what is known of ClickHouse is what was asked for
	}
	defer func() { _ = stores.Close() }() // it was only read from
	return stores.asWorkersSeeIt(ctx, err)
}

// askWorkersWithin bounds the question what workers show: the answer only makes a sentence better.
const askWorkersWithin = time.Second

func (s *Stores) asWorkersSeeIt(ctx context.Context, err error) error {
	if _, outage := errors.AsType[*backfill.OutageError](err); !outage {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askWorkersWithin)
	defer cancel()
	waits, unread := s.Ledger.Waits(ctx)
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

package alert

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"
)

// History is the run history, which also keeps what was delivered.
type History interface {
	// UndeliveredFailures lists, oldest first, attempts whose bad end was written since the moment and not delivered.
	UndeliveredFailures(ctx context.Context, since time.Time) ([]End, error)
	// Running lists the runs that are running, with their last signs of life.
	Running(ctx context.Context) ([]StalledRun, error)
	// Delivered reports whether the event was delivered.
	Delivered(ctx context.Context, e Event) (bool, error)
	// RecordDelivered writes that the event was delivered. Writing it again is harmless.
	RecordDelivered(ctx context.Context, e Event) error
}

// Receiver takes events. *Webhook implements it.
type Receiver interface {
	Deliver(ctx context.Context, e Event) (Receipt, error)
}

// The times of a Notifier.
const (
	// Every is the pause between two looks.
	Every = 10 * time.Second
	// LookBack is how long an event is tried to be delivered: a weekend. What ended before is old news.
	LookBack = 72 * time.Hour
	// StuckAfter is for how long a running run may be silent.
	StuckAfter = 30 * time.Minute
	// leaseTime outlasts one delivery: the lease is renewed before each.
	leaseTime = 45 * time.Second
	// lookLimit bounds one look, deliveries included.
	lookLimit = 5 * time.Minute
	// PostEvery is the least time between two posts that are taken: what happens within it goes together.
	PostEvery = time.Minute
	// maxPerPost bounds the events of one post: chat services cut long texts.
	maxPerPost = 50
	// maxPerLook bounds the posts of one look: receivers refuse floods.
	maxPerLook = 20
	// An event that was not taken is tried again after 10 s, 20 s, 40 s … 15 min.
	firstPause = 10 * time.Second
	maxPause   = 15 * time.Minute
	// stallsEvery is the pause between two looks at the runs that are running: it reads their outcomes.
	stallsEvery = time.Minute
)

// Notifier delivers events until they are taken. Any number may run: a lease lets one at a time work, and an event that
// two deliver has one id.
type Notifier struct {
	History  History
	Receiver Receiver
	// Parked lists the accounts whose quota is used up.
	Parked func(context.Context) ([]Parking, error)
	// Lease gives one process at a time the right to deliver until the time is over.
	Lease func(ctx context.Context, ttl time.Duration) (held bool, err error)
	// Delivered, when set, hears of every try.
	Delivered func(kind Kind, ok bool)
	Logger    *slog.Logger
	Now       func() time.Time

	// refused are the events that were not taken and when they are tried again.
	refused map[uuid.UUID]rejectedDelivery
	// stallsAt is when the running runs were last looked at, and postedAt when a post was last taken.
	stallsAt, postedAt time.Time
}

type rejectedDelivery struct {
	times int
	until time.Time
	seen  time.Time
	// alone: its common post was refused, so it goes in one of its own.
	alone bool
}

// Run looks until ctx ends.
func (n *Notifier) Run(ctx context.Context) {
	ticker := time.NewTicker(Every)
	defer ticker.Stop()
	for {
		limited, cancel := context.WithTimeout(ctx, lookLimit)
		err := n.Look(limited)
		cancel()
		if err != nil && ctx.Err() == nil {
			n.Logger.WarnContext(ctx, "alerts not looked for, trying again", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// errNotOurs ends a look when another process has the lease.
var errNotOurs = errors.New("another process delivers the alerts")

// Look delivers what is to be reported now. Trouble with one kind of event does not keep the others back.
func (n *Notifier) Look(ctx context.Context) error {
	if err := n.hold(ctx); err != nil {
		return ignoreNotOurs(err)
	}
	var events []Event
	var errs []error
	for _, look := range []func(context.Context) ([]Event, error){n.ends, n.stalledRuns, n.quotas} {
		found, err := look(ctx)
		events, errs = append(events, found...), append(errs, err)
	}
	return ignoreNotOurs(errors.Join(errors.Join(errs...), n.deliverAll(ctx, events)))
}

func ignoreNotOurs(err error) error {
	if errors.Is(err, errNotOurs) {
		return nil
	}
	return err
}

func (n *Notifier) hold(ctx context.Context) error {
	held, err := n.Lease(ctx, leaseTime)
	if err != nil {
		return fmt.Errorf("take the lease of alerts: %w", err)
	}
	if !held {
		return errNotOurs
	}
	return nil
}

func (n *Notifier) ends(ctx context.Context) ([]Event, error) {
	found, err := n.History.UndeliveredFailures(ctx, n.Now().Add(-LookBack))
	events := make([]Event, 0, len(found))
	for _, end := range found {
		events = append(events, Ended(end))
	}
	return events, err
}

func (n *Notifier) stalledRuns(ctx context.Context) ([]Event, error) {
	if n.Now().Sub(n.stallsAt) < stallsEvery {
		return nil, nil
	}
	running, err := n.History.Running(ctx)
	if err != nil {
		return nil, err
	}
	n.stallsAt = n.Now()
	parked, err := n.Parked(ctx)
	if err != nil {
		return nil, err
	}
	waiting := make(map[string]bool, len(parked))
	for _, p := range parked {
		waiting[p.Source] = waiting[p.Source] || p.Whole
	}
	var events []Event
	for _, run := range running {
		if run.Silence < StuckAfter || waiting[run.Source] { // a parked run is reported by its quota
			continue
		}
		events = append(events, Stalled(run))
	}
	return n.undelivered(ctx, events)
}

func (n *Notifier) quotas(ctx context.Context) ([]Event, error) {
	parked, err := n.Parked(ctx)
	if err != nil {
		return nil, err
	}
	events := make([]Event, 0, len(parked))
	for _, p := range parked {
		events = append(events, Exhausted(p, n.Now()))
	}
	return n.undelivered(ctx, events)
}

func (n *Notifier) undelivered(ctx context.Context, events []Event) (undelivered []Event, err error) {
	for _, e := range events {
		delivered, err := n.History.Delivered(ctx, e)
		if err != nil {
			return undelivered, err
		}
		if !delivered {
			undelivered = append(undelivered, e)
		}
	}
	return undelivered, nil
}

// deliverAll delivers what is due in one post, and no post within a minute of the last one that was taken: thirty runs that
// fail together are one message. A receiver that does not answer ends the look: the next post would only wait as long.
func (n *Notifier) deliverAll(ctx context.Context, events []Event) error {
	n.forget()
	if n.Now().Sub(n.postedAt) < PostEvery {
		return nil
	}
	for sent, post := range n.posts(events) {
		if sent == maxPerLook {
			return nil
		}
		if err := n.hold(ctx); err != nil {
			return err
		}
		if goOn, err := n.deliver(ctx, post); err != nil || !goOn {
			return err
		}
	}
	return nil
}

// posts puts the events that are due together, in order. Those whose common post was refused go alone: one of them may be
// what the receiver does not take.
func (n *Notifier) posts(events []Event) (posts [][]Event) {
	var together []Event
	var alone [][]Event
	for _, e := range events {
		switch r := n.refused[e.ID]; {
		case n.Now().Before(r.until):
		case r.alone:
			alone = append(alone, []Event{e})
		default:
			together = append(together, e)
		}
	}
	return append(slices.Collect(slices.Chunk(together, maxPerPost)), alone...)
}

// deliver sends events in one post and writes that they were taken. A death in between leads to a second delivery of the
// same ids.
func (n *Notifier) deliver(ctx context.Context, post []Event) (goOn bool, err error) {
	_, err = n.Receiver.Deliver(ctx, Together(post))
	if ctx.Err() != nil {
		return false, ctx.Err() // nobody knows whether it was taken
	}
	if n.Delivered != nil {
		for _, e := range post {
			n.Delivered(e.Kind, err == nil)
		}
	}
	if err != nil {
		return n.refuse(ctx, post, err), nil
	}
	n.postedAt = n.Now()
	var errs []error
	for _, e := range post {
		errs = append(errs, n.record(ctx, e))
	}
	return true, errors.Join(errs...)
}

// record writes that an event was taken.
func (n *Notifier) record(ctx context.Context, e Event) error {
	if err := n.History.RecordDelivered(ctx, e); err != nil {
		n.postpone(e, 0, false) // it was taken: deliver it again soon, not at once
		return fmt.Errorf("write that alert %s was delivered, it will be delivered again: %w", e.ID, err)
	}
	delete(n.refused, e.ID)
	n.Logger.InfoContext(ctx, "alert delivered", "event_id", e.ID, "kind", e.Kind)
	return nil
}

// refuse notes that a post was not taken. goOn is false when the receiver does not answer at all, or asks for a pause.
func (n *Notifier) refuse(ctx context.Context, post []Event, err error) (goOn bool) {
	refused, answered := errors.AsType[*RefusedError](err)
	var asked time.Duration
	if answered {
		asked = refused.RetryAfter
	}
	goOn = answered && asked == 0
	for _, e := range post {
		pause := n.postpone(e, asked, goOn && len(post) > 1)
		n.Logger.WarnContext(ctx, "alert not delivered, trying again", "event_id", e.ID, "kind", e.Kind, "pause", pause,
			"tries", n.refused[e.ID].times, "err", err)
	}
	return goOn
}

// postpone doubles the pause of an event, or takes the one that was asked for if it is longer. Once alone, it stays so.
func (n *Notifier) postpone(e Event, asked time.Duration, alone bool) (pause time.Duration) {
	if n.refused == nil {
		n.refused = make(map[uuid.UUID]rejectedDelivery)
	}
	r := n.refused[e.ID]
	pause = max(min(firstPause<<min(r.times, 10), maxPause), asked)
	pause += rand.N(pause/4 + 1) // so that workers that take turns do not meet
	n.refused[e.ID] = rejectedDelivery{times: r.times + 1, until: n.Now().Add(pause), seen: n.Now(), alone: alone || r.alone}
	return pause
}

// forget drops what was refused so long ago that it is no longer looked for.
func (n *Notifier) forget() {
	for id, r := range n.refused {
		if n.Now().Sub(r.seen) > LookBack {
			delete(n.refused, id)
		}
	}
}

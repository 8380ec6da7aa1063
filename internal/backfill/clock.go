package backfill

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// readingAge is how old a reading of the stores' clocks may become before the next question reads them again, though the old
// one would do: a clock may be set back.
const readingAge = time.Minute

// TimeFunc asks a store for its time.
type TimeFunc func(context.Context) (time.Time, error)

// Clock is the one by which all processes of a deployment decide what is closed: that of the stores, of two the one that is
// behind. The clock of a host decides nothing: one that is behind would take closed candles for open ones, and one that is
// ahead would take the coming hour for empty. It is safe for concurrent use.
type Clock struct {
	// Stores ask the stores for their time; at least one.
	Stores []TimeFunc
	// Host counts on from one reading to the next, for times that people read. Only its pace matters.
	Host func() time.Time

	asking sync.Mutex // one asks, those that wait look at its reading

	mu      sync.Mutex
	reading time.Time // by the stores; zero before the first
	readAt  time.Time // by the host, when the last store was read
}

// Ask returns a moment that the clock of every store has reached by now. Its error has ClassStore: without the stores nothing
// could be kept either.
func (c *Clock) Ask(ctx context.Context) (time.Time, error) {
	c.asking.Lock()
	defer c.asking.Unlock()
	return c.ask(ctx)
}

func (c *Clock) ask(ctx context.Context) (time.Time, error) {
	if len(c.Stores) == 0 {
		return time.Time{}, errors.New("no store whose clock could be read")
	}
	var reading time.Time
	for _, ask := range c.Stores {
		at, err := ask(ctx)
		if err != nil {
			return time.Time{}, WithClass(ClassStore, fmt.Errorf("read the clock of a store: %w", err))
		}
		if reading.IsZero() || at.Before(reading) {
			reading = at
		}
	}
	c.keep(reading)
	return reading, nil
}

func (c *Clock) keep(reading time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading, c.readAt = reading, c.Host()
}

// readingTimeout bounds how long NowOrHost waits for a store.
const readingTimeout = 2 * time.Second

// NowOrHost returns the time by those stores that can be read, of two the earlier one. byStore is false when none does: then it is the
// host's. It is for those who only look.
func (c *Clock) NowOrHost(ctx context.Context) (now time.Time, byStore bool) {
	c.asking.Lock()
	defer c.asking.Unlock()
	for _, ask := range c.Stores {
		at, err := within(ctx, readingTimeout, ask)
		if err == nil && (!byStore || at.Before(now)) {
			now, byStore = at, true
		}
	}
	if !byStore {
		return c.Host(), false
	}
	c.keep(now)
	return now, true
}

func within(ctx context.Context, d time.Duration, ask TimeFunc) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return ask(ctx)
}

// Reached returns a moment that the clock of every store has reached. It asks them only when the last reading is from before
// the moment that is hoped for, so what lies in the past costs nothing.
func (c *Clock) Reached(ctx context.Context, hoped time.Time) (time.Time, error) {
	if reading, ok := c.last(hoped); ok {
		return reading, nil
	}
	c.asking.Lock()
	defer c.asking.Unlock()
	if reading, ok := c.last(hoped); ok { // of another that asked meanwhile
		return reading, nil
	}
	return c.ask(ctx)
}

// last is the last reading, if it is recent and not from before the hoped moment.
func (c *Clock) last(hoped time.Time) (reading time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	age := c.Host().Sub(c.readAt)
	return c.reading, !c.reading.IsZero() && !c.reading.Before(hoped) && age >= 0 && age < readingAge
}

// Now is the time by the stores as the host has counted on since the last reading; before the first it is the host's own. It
// is for rows and logs: nothing that decides what is closed may rely on it.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.Host()
	if c.reading.IsZero() {
		return now
	}
	return c.reading.Add(now.Sub(c.readAt))
}

package service

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"quantbot/internal/backfill"
	"quantbot/internal/pause"
)

// Local is a budget of one process alone, without bursts: services count any second.
type Local struct {
	limiter *rate.Limiter
	now     func() time.Time

	mu     sync.Mutex
	paused time.Time
	parked time.Time
}

// NewLocal returns a budget of so much weight a second.
func NewLocal(perSecond float64, now func() time.Time) *Local {
	return &Local{limiter: rate.NewLimiter(rate.Limit(perSecond), 1), now: now}
}

// Wait implements Budget.
func (l *Local) Wait(ctx context.Context, weight int) error {
	for {
		l.mu.Lock()
		now := l.now()
		paused, parked := l.paused.Sub(now), l.parked.Sub(now)
		l.mu.Unlock()
		if parked > 0 {
			return ParkedError(parked)
		}
		if paused <= 0 {
			break
		}
		if err := pause.For(ctx, paused); err != nil {
			return err
		}
	}
	for range max(weight, 1) { // one by one, because a wait for more than the burst is refused
		if err := l.limiter.Wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Slow implements Budget. A shorter pause does not end a longer one: a ban outlasts the responses that were under way.
func (l *Local) Slow(_ context.Context, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := l.now().Add(max(pause, time.Second)); until.After(l.paused) {
		l.paused = until
	}
}

// Park implements Budget.
func (l *Local) Park(_ context.Context, pause time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parked = l.now().Add(pause)
}

var errQuota = errors.New("the quota of the account is used up")

// ParkedError is what Wait returns while an account is parked.
func ParkedError(left time.Duration) error {
	return &backfill.ClassError{Class: backfill.ClassParked, RetryAfter: left, Err: errQuota}
}

// SetRate changes the allowance, in weight a second.
func (l *Local) SetRate(perSecond float64) { l.limiter.SetLimit(rate.Limit(perSecond)) }

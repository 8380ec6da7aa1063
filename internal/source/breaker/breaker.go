// Package breaker distinguishes a source that is down for everybody from a question that the source cannot answer. While a source
// is down, chunks wait for it instead of failing one by one.
package breaker

import (
	"context"
	"fmt"
	"iter"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// Source is a source that can be asked whether it works.
type Source interface {
	backfill.Source
	// Probe sends the cheapest request to which a working service always responds.
	Probe(ctx context.Context) error
}

// DefaultProbeEvery is the pause between two probes of a source that is down.
const DefaultProbeEvery = 5 * time.Second

// warnEvery is the pause between two warnings about one outage.
const warnEvery = time.Minute

// Config configures a Breaker.
type Config struct {
	// ProbeEvery is the pause between two probes of a source that is down; 0 = DefaultProbeEvery.
	ProbeEvery time.Duration
	Logger     *slog.Logger
	Now        func() time.Time
}

// Breaker wraps a source. It is safe for concurrent use and starts no goroutine: those that wait for the source probe it.
type Breaker struct {
	backfill.Source
	*circuit
}

// circuit is what is known of the service, whatever a run asks of it.
type circuit struct {
	probe func(context.Context) error
	cfg   Config
	// prober is held by the one that probes.
	prober chan struct{}

	mu sync.Mutex
	// begun numbers requests; answered is the highest number that got an answer.
	begun, answered int64
	// back is nil while the source works, and closed when it works again.
	back      chan struct{}
	downSince time.Time
	lastProbe time.Time
	// cause is the error of the last probe, and warned when a log record last said so.
	cause  error
	warned time.Time
}

// New wraps the source.
func New(source Source, cfg Config) *Breaker {
	if cfg.ProbeEvery == 0 {
		cfg.ProbeEvery = DefaultProbeEvery
	}
	return &Breaker{Source: source, circuit: &circuit{probe: source.Probe, cfg: cfg, prober: make(chan struct{}, 1)}}
}

// For implements backfill.Configurable: the source as the run asks it, behind the same breaker.
func (b *Breaker) For(m *manifest.Manifest) backfill.Source {
	configurable, ok := b.Source.(backfill.Configurable)
	if !ok {
		return b
	}
	return &Breaker{Source: configurable.For(m), circuit: b.circuit}
}

// Candles implements backfill.Source. It waits while the source is down. An error of a source that turns out to be down
// for everybody has the class ClassSourceDown.
func (b *Breaker) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		if err := b.await(ctx); err != nil {
			yield(backfill.Page{}, err)
			return
		}
		number := b.begin()
		for page, err := range b.Source.Candles(ctx, token, interval, r) {
			if !unanswered(err) {
				b.note(number)
			} else if b.isDown(ctx, number) {
				err = backfill.WithClass(backfill.ClassSourceDown, fmt.Errorf("%s answers nobody: %w", b.Name(), err))
			} else if ctx.Err() != nil { // whose fault it was stays open: the chunk must not spend a try on it
				err = fmt.Errorf("find out whether %s is down: %w", b.Name(), ctx.Err())
			}
			if !yield(page, err) {
				return
			}
			number = b.begin()
		}
	}
}

// unanswered reports whether the error means that there was no answer, be it that we gave up or that nobody knows what
// happened. Other errors are responses.
func unanswered(err error) bool {
	if err == nil {
		return false
	}
	switch backfill.ClassOf(err) {
	case backfill.ClassUnavailable, backfill.ClassUnknown, backfill.ClassInterrupted:
		return true
	}
	return false
}

func (b *Breaker) begin() (number int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun++
	return b.begun
}

func (b *Breaker) note(number int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answered = max(b.answered, number)
}

// isDown decides about a request that got no answer: when one that began later got one, the source works; otherwise a
// probe decides. A probe that began after the request counts for all that wait for it.
func (b *Breaker) isDown(ctx context.Context, number int64) bool {
	select {
	case b.prober <- struct{}{}:
		defer func() { <-b.prober }()
	case <-ctx.Done():
		return false
	}
	b.mu.Lock()
	works, down := b.answered > number, b.back != nil
	b.mu.Unlock()
	if works || down || ctx.Err() != nil {
		return down && !works
	}
	return !b.ask(ctx)
}

// ask probes and opens or closes the breaker. The caller holds prober.
func (b *Breaker) ask(ctx context.Context) (works bool) {
	number := b.begin()
	err := b.probe(ctx)
	if ctx.Err() != nil {
		return true // nobody knows; whoever asks next finds out
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lastProbe = b.cfg.Now()
	if !unanswered(err) {
		b.answered = max(b.answered, number)
	}
	switch works = b.answered >= number; { // also when a request that began after the probe was answered
	case works:
		if b.back != nil {
			b.cfg.Logger.InfoContext(ctx, "source answers again", "source", b.Name(), "down", b.lastProbe.Sub(b.downSince))
			close(b.back)
			b.back = nil
		}
	case b.back == nil:
		b.back, b.downSince, b.warned = make(chan struct{}), b.lastProbe, time.Time{}
	}
	if b.cause = err; !works && b.lastProbe.Sub(b.warned) >= warnEvery {
		b.warned = b.lastProbe
		b.cfg.Logger.WarnContext(ctx, "source answers nobody, chunks wait for it", "source", b.Name(), "since", b.downSince.UTC(), "err", err)
	}
	return works
}

// Down reports whether the source responds to nobody, since when, and why; down is false while it works.
func (b *Breaker) Down() (since time.Time, cause error, down bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.downSince, b.cause, b.back != nil
}

// await returns when the source works, or with the context's error.
func (b *Breaker) await(ctx context.Context) error {
	for {
		b.mu.Lock()
		back := b.back
		b.mu.Unlock()
		if back == nil {
			return ctx.Err()
		}
		select {
		case <-back:
		case <-ctx.Done():
			return ctx.Err()
		case b.prober <- struct{}{}:
			b.probeLater(ctx, back)
		}
	}
}

// probeLater probes once, no sooner than the pause after the probe before, and lets go of prober.
func (b *Breaker) probeLater(ctx context.Context, back <-chan struct{}) {
	defer func() { <-b.prober }()
	b.mu.Lock()
	pause := b.lastProbe.Add(b.cfg.ProbeEvery).Sub(b.cfg.Now())
	b.mu.Unlock()
	timer := time.NewTimer(pause + rand.N(b.cfg.ProbeEvery/4+1)) // workers must not probe in step
	defer timer.Stop()
	select {
	case <-back: // it was closed between looking and getting the right to probe
	case <-ctx.Done():
	case <-timer.C:
		b.ask(ctx)
	}
}

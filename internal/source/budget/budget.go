// Package budget shares an account's allowance among all workers, through Redis: one request after another, without
// bursts, with pauses and parking that hold for everybody. Without Redis a worker keeps to its share.
package budget

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
	"quantbot/internal/pause"
	"quantbot/internal/source/service"
)

const (
	// headroom is what is left of the allowance: a service counts requests when they arrive, and their way takes
	// sometimes longer and sometimes shorter. 1.5 % of a second is 15 ms.
	headroom = 0.985
	// ahead is how far ahead a moment may be reserved. A reservation outlives a pause that begins meanwhile.
	ahead = 250 * time.Millisecond
	// late is by how much a reserved moment may be missed without a word; farLate, by how much it may be missed at all.
	late    = 5 * time.Millisecond
	farLate = 500 * time.Millisecond
	// redisTimeout bounds a question to Redis: requests must not wait for a Redis that is away.
	redisTimeout = 2 * time.Second
	// aloneFor is how long Redis is not asked after it did not answer.
	aloneFor = time.Second
	// longestSleep is how long a process waits before it asks again whether a pause still lasts.
	longestSleep = 5 * time.Second
)

// Config configures a Budget.
type Config struct {
	Redis redis.UniversalClient
	// Account is which account it is; see ID.
	Account Account
	// PerSecond is the allowance in units of weight.
	PerSecond float64
	// Member names this process.
	Member string
	Logger *slog.Logger
	Now    func() time.Time
}

// Budget is a process's access to an account. It implements service.Budget and is safe for concurrent use.
type Budget struct {
	cfg      Config
	interval time.Duration
	// turn is held by the one that waits: the others of this process wait behind it, first come, first served.
	turn chan struct{}
	// share is what is kept to without Redis.
	share *service.Local
	sleep func(context.Context, time.Duration) error

	mu      sync.Mutex
	members int64
	alone   time.Time // until when Redis is not asked
}

var _ service.Budget = (*Budget)(nil)

// New returns a process's access to an account.
func New(cfg Config) *Budget {
	perSecond := cfg.PerSecond * headroom
	return &Budget{
		cfg: cfg, interval: time.Duration(float64(time.Second) / perSecond), turn: make(chan struct{}, 1),
		share: service.NewLocal(perSecond, cfg.Now), sleep: pause.For, members: 1,
	}
}

// Wait implements service.Budget.
func (b *Budget) Wait(ctx context.Context, weight int) error {
	select {
	case b.turn <- struct{}{}:
		defer func() { <-b.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		asked := b.cfg.Now()
		taken, err := b.take(ctx, weight)
		if err == nil && taken.status == goes {
			if err := b.sleep(ctx, taken.in); err != nil {
				return err
			}
			if b.cfg.Now().Sub(asked) <= taken.in+late {
				return nil
			}
			taken, err = b.move(ctx, taken.serial)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return b.share.Wait(ctx, weight)
		}
		switch taken.status {
		case goes:
			return nil
		case parked:
			return service.ParkedError(taken.in)
		}
		if err := b.sleep(ctx, min(taken.in, longestSleep)); err != nil {
			return err
		}
	}
}

// What the scripts answer; the third is to ask again later.
const (
	goes   = "go"
	parked = "parked"
)

type taken struct {
	status string
	in     time.Duration
	serial int64
}

// take asks Redis for a moment. Its error means that this process is on its own for a while.
func (b *Budget) take(ctx context.Context, weight int) (taken, error) {
	b.mu.Lock()
	alone := b.cfg.Now().Before(b.alone)
	b.mu.Unlock()
	if alone {
		return taken{}, errAlone
	}
	values, err := b.run(ctx, takeScript, b.cfg.Account.keys(), b.interval.Microseconds(), max(weight, 1), b.cfg.Member, ahead.Microseconds(),
		max(int64(b.cfg.PerSecond/float64(max(weight, 1))), 1), late.Microseconds())
	var reply struct {
		status                  string
		micros, members, serial int64
	}
	if err == nil {
		err = scan(values, &reply.status, &reply.micros, &reply.members, &reply.serial)
	}
	if err != nil {
		b.goAlone(ctx, err)
		return taken{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if reply.members != b.members {
		b.members = max(reply.members, 1)
		b.share.SetRate(b.cfg.PerSecond * headroom / float64(b.members))
	}
	return taken{reply.status, time.Duration(reply.micros) * time.Microsecond, reply.serial}, nil
}

// move records in Redis that the request of a moment goes later than it was reserved for.
func (b *Budget) move(ctx context.Context, serial int64) (moved taken, err error) {
	values, err := b.run(ctx, moveScript, []string{b.cfg.Account.keys()[0], b.cfg.Account.keys()[2]}, serial, farLate.Microseconds())
	var micros int64
	if err == nil {
		err = scan(values, &moved.status, &micros)
	}
	if err != nil {
		b.goAlone(ctx, err)
	}
	moved.in = time.Duration(micros) * time.Microsecond
	return moved, err
}

// goAlone keeps to this process's share for a while.
func (b *Budget) goAlone(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.alone.IsZero() || b.cfg.Now().Sub(b.alone) > time.Minute {
		b.cfg.Logger.WarnContext(ctx, "budget not shared while redis is away, keeping to a share of it",
			"source", b.cfg.Account.Source, "members", b.members, "err", err)
	}
	b.alone = b.cfg.Now().Add(aloneFor)
}

// Slow implements service.Budget: a pause for everybody, and a lower speed after it that rises again when all is well.
func (b *Budget) Slow(ctx context.Context, pause time.Duration) {
	b.share.Slow(ctx, pause)
	values, err := b.run(ctx, slowScript, b.cfg.Account.keys()[:1], b.interval.Microseconds(), pause.Microseconds())
	var micros int64
	if err == nil {
		err = scan(values, &micros)
	}
	if err != nil {
		b.goAlone(ctx, err)
		return
	}
	b.cfg.Logger.WarnContext(ctx, "source asked too fast, all workers pause", "source", b.cfg.Account.Source, "pause", time.Duration(micros)*time.Microsecond)
}

// Park implements service.Budget.
func (b *Budget) Park(ctx context.Context, pause time.Duration) {
	b.share.Park(ctx, pause)
	_, err := b.run(ctx, parkScript, b.cfg.Account.keys()[:1], pause.Microseconds())
	if err != nil {
		b.goAlone(ctx, err)
	}
	b.cfg.Logger.WarnContext(ctx, "quota of the source used up, parked", "source", b.cfg.Account.Source, "pause", pause)
}

func (b *Budget) run(ctx context.Context, s *redis.Script, keys []string, args ...any) ([]any, error) {
	ctx, cancel := context.WithTimeout(ctx, redisTimeout)
	defer cancel()
	values, err := s.Run(ctx, b.cfg.Redis, keys, args...).Slice()
	if err != nil {
		return nil, backfill.WithClass(backfill.ClassStore, fmt.Errorf("ask redis for the budget of %s: %w", b.cfg.Account.Source, err))
	}
	return values, nil
}

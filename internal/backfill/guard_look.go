package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/pause"
)

// Bind is the first look of a process. While another Redis may be in use it waits until that shows life, or does not: up to
// PresenceStale. Its error is a *StrangerError, or trouble with a store.
func (g *DeploymentGuard) Bind(ctx context.Context) error {
	var first time.Time
	for waited := false; ; waited = true {
		verdict, history, err := g.look(ctx)
		stranger, undecided := errors.AsType[*StrangerError](err)
		if !undecided || verdict != bindingUndecided {
			return err
		}
		latest := history.Adopted[0].PresentAt
		if !waited {
			first = latest
			g.Logger.WarnContext(ctx, "redis is empty and another one was in use until now, looking whether it still is", "err", err)
		}
		if latest.After(first) {
			return stranger
		}
		if pause.For(ctx, undecidedPoll) != nil {
			return ctx.Err()
		}
	}
}

// Check looks once and does what follows. It returns nil while the process may work, also when a store does not answer: then
// what was last known holds (R7).
func (g *DeploymentGuard) Check(ctx context.Context) error {
	if g == nil {
		return nil
	}
	_, _, err := g.look(ctx)
	if _, stranger := errors.AsType[*StrangerError](err); err != nil && !stranger {
		if ctx.Err() == nil {
			g.unreadable.Do(func() {
				g.Logger.WarnContext(ctx, "not looked up whether Redis and ClickHouse still belong together", "err", err)
			})
		}
		return g.Err()
	}
	return err
}

// Look says whether Redis and ClickHouse belong together, and changes nothing.
func (g *DeploymentGuard) Look(ctx context.Context) (HistoryBinding, error) {
	history, redis, err := g.read(ctx)
	if err != nil {
		return history, err
	}
	if verdict, reason := checkBinding(redis, history, g.places()); verdict == bindingUndecided || verdict == bindingRefused {
		return history, &StrangerError{Reason: reason}
	}
	return history, nil
}

func (g *DeploymentGuard) places() places { return places{g.RedisAddress, g.HistoryAddress} }

// read asks Redis first: a presence reaches the history before Redis, so what Redis knows of is there.
func (g *DeploymentGuard) read(ctx context.Context) (history HistoryBinding, redis RedisBinding, err error) {
	if redis, err = g.Ledger.Binding(ctx); err != nil {
		return history, redis, fmt.Errorf("read whose Redis this is: %w", err)
	}
	if history, err = g.History.DeploymentBinding(ctx); err != nil {
		return history, redis, fmt.Errorf("read the deployment: %w", err)
	}
	return history, redis, nil
}

// maxLooks bounds how often a look acts and looks again: once for a restored or adopted Redis, and once more when another
// process acted at the same time.
const maxLooks = 3

// look reads both stores, acts on the verdict until there is nothing to do, and remembers what came out.
func (g *DeploymentGuard) look(ctx context.Context) (verdict bindingVerdict, history HistoryBinding, err error) {
	for range maxLooks {
		var redis RedisBinding
		if history, redis, err = g.read(ctx); err != nil {
			return verdict, history, err
		}
		var reason string
		switch verdict, reason = checkBinding(redis, history, g.places()); verdict {
		case bindingHolds:
			return verdict, history, g.holds(ctx, redis, history)
		case bindingUndecided, bindingRefused:
			err = &StrangerError{Reason: reason}
			g.remember(ctx, history.DeploymentID, redis, err)
			return verdict, history, err
		case bindingRestore:
			if err := g.restore(ctx, history); err != nil {
				return verdict, history, err
			}
		case bindingAdopt:
			err := g.adopt(ctx, redis, history)
			if errors.Is(err, errAdoptionUnwritten) {
				return verdict, history, g.unadopted(ctx, history, err)
			}
			if err != nil {
				return verdict, history, err
			}
		}
	}
	return verdict, history, WithClass(ClassStore, fmt.Errorf("redis at %s does not keep whose it is", g.RedisAddress))
}

// holds remembers that the two belong together. Its error says that sources are asked elsewhere, or not known where.
func (g *DeploymentGuard) holds(ctx context.Context, redis RedisBinding, history HistoryBinding) error {
	known, err := g.History.Services(ctx)
	if err != nil {
		return err
	}
	err = g.checkServices(known)
	g.remember(ctx, history.DeploymentID, redis, err)
	return err
}

// errAdoptionUnwritten: Redis is bound to the deployment, and the history takes no note of that.
var errAdoptionUnwritten = errors.New("write down which Redis belongs to the deployment")

// unadopted goes on with a Redis that nobody contests, while ClickHouse refuses to take a note: a user who may not write, a full
// disk. Whoever needs to write waits for that where everybody sees it (R7), and the next look tries again.
func (g *DeploymentGuard) unadopted(ctx context.Context, history HistoryBinding, cause error) error {
	redis, err := g.Ledger.Binding(ctx)
	if err != nil {
		return fmt.Errorf("read whose Redis this is: %w", err)
	}
	if redis.DeploymentID != history.DeploymentID {
		return cause // it was emptied, or bound by another, just now
	}
	g.notAdopted.Do(func() {
		g.Logger.WarnContext(ctx, "not written down that Redis belongs to the deployment, going on", "redis", g.RedisAddress, "err", cause)
	})
	return g.holds(ctx, redis, history)
}

// restore looks at Redis once more: another process may have bound it for the first time between the two questions.
func (g *DeploymentGuard) restore(ctx context.Context, history HistoryBinding) error {
	redis, err := g.Ledger.Binding(ctx)
	if err == nil && redis.DeploymentID == uuid.Nil {
		g.Logger.WarnContext(ctx, "redis was emptied, bound to the deployment again", "deployment", history.DeploymentID, "redis", g.RedisAddress)
		_, err = g.Ledger.Bind(ctx, history.DeploymentID, history.Adopted[0].ID)
	}
	if err != nil {
		return fmt.Errorf("bind Redis to the deployment again: %w", err)
	}
	return nil
}

// adopt binds Redis first, because there one of several processes is the first, and all of them write down the same then.
func (g *DeploymentGuard) adopt(ctx context.Context, redis RedisBinding, history HistoryBinding) (err error) {
	number := 1
	if len(history.Adopted) > 0 {
		former := history.Adopted[0]
		number = former.Adoption + 1
		g.Logger.WarnContext(ctx, "the deployment goes on with another Redis", "deployment", history.DeploymentID,
			"redis", g.RedisAddress, "former", former.Address, "former_last_seen", former.PresentAt)
	}
	if redis.DeploymentID == uuid.Nil {
		if redis, err = g.Ledger.Bind(ctx, history.DeploymentID, uuid.New()); err != nil {
			return fmt.Errorf("bind Redis to the deployment: %w", err)
		}
	}
	if redis.DeploymentID != history.DeploymentID {
		return nil // another deployment was faster, and the next look says so
	}
	err = g.History.AdoptRedis(ctx, history.DeploymentID, AdoptedRedis{ID: redis.ID, Adoption: number, Address: g.RedisAddress, Server: redis.Server})
	if err != nil {
		return fmt.Errorf("%w: %w", errAdoptionUnwritten, err)
	}
	return nil
}

func (g *DeploymentGuard) remember(ctx context.Context, id uuid.UUID, redis RedisBinding, stranger error) {
	g.mu.Lock()
	was := g.reason != nil
	g.id, g.redis, g.reason = id, redis, stranger
	if was != (stranger != nil) {
		close(g.changed)
		g.changed = make(chan struct{})
	}
	g.mu.Unlock()
	if stranger == nil && was {
		g.Logger.InfoContext(ctx, "redis and ClickHouse belong together again", "deployment", id)
	}
}

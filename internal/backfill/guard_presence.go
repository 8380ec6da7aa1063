package backfill

import (
	"context"
	"time"
)

// Run looks every few seconds, and shows life while all is well, until ctx ends; then it takes its leave, so that an empty
// Redis need not be waited for.
func (g *DeploymentGuard) Run(ctx context.Context) {
	ticker := time.NewTicker(guardEvery)
	defer ticker.Stop()
	for look := 0; ; look++ {
		err := g.Check(ctx)
		if err != nil {
			g.stranger.Do(func() {
				g.Logger.ErrorContext(ctx, "redis and ClickHouse do not belong together, leaving both alone", "err", err)
			})
		} else if look%int(PresenceEvery/guardEvery) == 0 {
			g.recordPresence(ctx)
		}
		select {
		case <-ctx.Done():
			g.takeLeave(context.WithoutCancel(ctx))
			return
		case <-ticker.C:
		}
	}
}

// recordPresence shows life, if no other process of the deployment does it now. One that stops is followed within two of its turns.
func (g *DeploymentGuard) recordPresence(ctx context.Context) {
	g.mu.Lock()
	id, redis := g.id, g.redis
	g.mu.Unlock()
	held, err := g.Ledger.Lease(ctx, DutyPresence, g.Name, PresenceEvery+guardEvery)
	at := time.Time{}
	if err == nil && held {
		at, err = g.History.RecordRedisPresence(ctx, id, redis, false)
	}
	if err == nil {
		err = g.Ledger.RecordPresence(ctx, g.Name, at)
	}
	if err != nil {
		if ctx.Err() == nil {
			g.unannounced.Do(func() { g.Logger.WarnContext(ctx, "presence not written", "err", err) })
		}
		return
	}
	g.mu.Lock()
	g.announced = true
	g.mu.Unlock()
}

func (g *DeploymentGuard) takeLeave(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leaveTime)
	defer cancel()
	g.mu.Lock()
	id, redis, announced, stranger := g.id, g.redis, g.announced, g.reason
	g.mu.Unlock()
	if !announced || stranger != nil {
		return
	}
	last, err := g.Ledger.TakeLeave(ctx, g.Name)
	if err == nil && last {
		_, err = g.History.RecordRedisPresence(ctx, id, redis, true)
	}
	if err != nil {
		g.Logger.DebugContext(ctx, "leave not taken, the last presence grows stale", "err", err)
	}
}

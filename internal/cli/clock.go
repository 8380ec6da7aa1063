package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// readTime is the time for commands that only read: by the stores that answer, because their clocks decide what is closed and
// this machine's may be wrong. history may be nil.
func (a *app) readTime(ctx context.Context, cfg config.Config, history *clickhouse.DB) time.Time {
	clock := backfill.Clock{Stores: []backfill.TimeFunc{wiring.RedisTime(cfg)}, Host: a.now}
	if history != nil {
		clock.Stores = append(clock.Stores, history.Now)
	}
	now, fromServer := clock.NowOrHost(ctx)
	if !fromServer {
		a.logger().WarnContext(ctx, "no store answers: what is closed is judged by the clock of this machine")
	}
	return now
}

// goByStores lets the command count its time by the stores' clocks where one of these times is relative, so that -7d and now
// mean the same on every machine. Stores that do not answer change nothing: whoever needs them says so.
func (a *app) goByStores(ctx context.Context, times ...string) {
	cfg, err := register.LoadConfig(a.getenv)
	if err != nil || a.localDir != "" || !slices.ContainsFunc(times, isRelative) { // engines of this machine have its clock
		return
	}
	clock := &backfill.Clock{Stores: []backfill.TimeFunc{wiring.RedisTime(cfg), wiring.ClickHouseTime(cfg, a.logger())}, Host: a.now}
	clock.NowOrHost(ctx)
	a.now = clock.Now
}

// parseSince reads --since. Runs started when the stores' clocks say.
func (a *app) parseSince(ctx context.Context, since string) (at time.Time, err error) {
	if _, err = config.ParseTime(since, a.now()); err == nil {
		a.goByStores(ctx, since)
		at, err = config.ParseTime(since, a.now())
	}
	if err != nil {
		return at, fmt.Errorf("--since: %w", err)
	}
	return at, nil
}

// isRelative reports whether a time depends on when it is read.
func isRelative(text string) bool {
	one, err := config.ParseTime(text, time.Unix(1_000_000_000, 0))
	other, _ := config.ParseTime(text, time.Unix(1_000_000_001, 0))
	return err == nil && !one.Equal(other)
}

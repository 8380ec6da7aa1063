package cli

import (
	"context"
	"errors"
	"fmt"

	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/devstack"
	"quantbot/internal/local"
	"quantbot/internal/source/register"
	"quantbot/internal/wiring"
)

// configure reads the environment, or starts the local engines and returns the configuration that reaches them. release
// must be called; it stops the engines when nobody else uses them.
func (a *app) configure(ctx context.Context) (cfg config.Config, release func(), err error) {
	getenv, release := a.getenv, func() {}
	if a.localDir != "" {
		engines, err := devstack.StartEngines(ctx, a.localDir)
		if err != nil {
			return config.Config{}, nil, err
		}
		vars := engines.Vars()
		getenv = func(name string) string {
			if value, ok := vars[name]; ok {
				return value
			}
			if name == "CLICKHOUSE_DSN" {
				return "" // a flag wins over the environment
			}
			return a.getenv(name)
		}
		release = func() { a.stopEngines(ctx, engines) }
	}
	cfg, err = register.LoadConfig(getenv)
	if err != nil {
		release()
		return config.Config{}, nil, &exitError{exitUsage, err}
	}
	return cfg, release, nil
}

func (a *app) stopEngines(ctx context.Context, engines *local.Engines) {
	if err := devstack.StopEngines(ctx, engines); err != nil {
		a.logger().WarnContext(ctx, "local engines not stopped", "err", err)
	}
}

// withStores runs f with everything open, and dates what f writes by the stores' clock.
func (a *app) withStores(ctx context.Context, f func(config.Config, *wiring.Stores) error) error {
	return a.withUndatedStores(ctx, func(cfg config.Config, stores *wiring.Stores) error {
		clock := stores.Clock(a.now)
		clock.NowOrHost(ctx)
		a.now = clock.Now
		return f(cfg, stores)
	})
}

// withUndatedStores runs f with everything open, for commands that only look: their time stays this machine's.
func (a *app) withUndatedStores(ctx context.Context, f func(config.Config, *wiring.Stores) error) (err error) {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	stores, err := wiring.OpenStores(ctx, cfg, a.logger())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	return f(cfg, stores)
}

// withHistory runs f with the history alone: reading commands need no Redis. They migrate, too: what they read may be newer
// than the tables.
func (a *app) withHistory(ctx context.Context, f func(config.Config, *clickhouse.DB) error) error {
	return a.withUntouchedHistory(ctx, func(cfg config.Config, history *clickhouse.DB) error {
		if _, err := history.Migrate(ctx); err != nil {
			return fmt.Errorf("migrate ClickHouse: %w", err)
		}
		return f(cfg, history)
	})
}

// withUntouchedHistory runs f with the history, whose tables may be missing or old.
func (a *app) withUntouchedHistory(ctx context.Context, f func(config.Config, *clickhouse.DB) error) (err error) {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	history, err := wiring.OpenHistory(ctx, cfg, a.logger())
	if err != nil {
		return wiring.AsWorkersSeeIt(ctx, cfg, err)
	}
	defer func() { err = errors.Join(err, history.Close()) }()
	return f(cfg, history)
}

// withRedis runs f with Redis alone.
func (a *app) withRedis(ctx context.Context, f func(*wiring.Stores) error) (err error) {
	cfg, release, err := a.configure(ctx)
	if err != nil {
		return err
	}
	defer release()
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stores.Close()) }()
	return f(stores)
}

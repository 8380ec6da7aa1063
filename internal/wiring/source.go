package wiring

import (
	"fmt"
	"log/slog"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/source/birdeye"
	"quantbot/internal/source/breaker"
	"quantbot/internal/source/service"
)

// SourceNames are the sources that OpenSource knows.
func SourceNames() []string { return []string{birdeye.Name} }

// OpenSource makes a source by its name; nothing is sent yet. concurrency is how many requests may be under way at once.
func OpenSource(name string, cfg config.Config, version string, concurrency int, logger *slog.Logger, now func() time.Time) (backfill.Source, error) {
	if name != birdeye.Name {
		return nil, fmt.Errorf("unknown source %q (known: %s)", name, birdeye.Name)
	}
	source, err := birdeye.New(birdeye.Config{
		BaseURL: cfg.Birdeye.BaseURL, Accounts: []service.Account{{Key: cfg.Birdeye.APIKey.Reveal(), Budget: service.NewLocal(cfg.Birdeye.RPS, now)}},
		UserAgent: "quantbot/" + version, Concurrency: concurrency, Logger: logger, Now: now,
	})
	if err != nil {
		return nil, err
	}
	return breaker.New(source, breaker.Config{Logger: logger, Now: now}), nil
}

package wiring

import (
	"fmt"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/source/birdeye"
)

// SourceNames are the sources that OpenSource knows.
func SourceNames() []string { return []string{birdeye.Name} }

// OpenSource makes a source by its name; nothing is sent yet. concurrency is how many requests may be under way at once.
func OpenSource(name string, cfg config.Config, version string, concurrency int, now func() time.Time) (backfill.Source, error) {
	if name != birdeye.Name {
		return nil, fmt.Errorf("unknown source %q (known: %s)", name, birdeye.Name)
	}
	return birdeye.New(birdeye.Config{
		BaseURL: cfg.Birdeye.BaseURL, APIKey: cfg.Birdeye.APIKey.Reveal(), RPS: cfg.Birdeye.RPS,
		UserAgent: "quantbot/" + version, Concurrency: concurrency, Now: now,
	})
}

package wiring

import (
	"context"
	"log/slog"
	"time"

	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/tracing"
)

// StartTraces sends this process's spans to the collector that the environment names, if it names one. stop must be
// called; it sends what is left.
func StartTraces(ctx context.Context, program string, cfg config.Config, build manifest.Build, logger *slog.Logger, now func() time.Time) (stop func(), err error) {
	if !cfg.Traces {
		return func() {}, nil
	}
	return tracing.Start(ctx, program, build.Version, logger, now)
}

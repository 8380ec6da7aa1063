package devstack

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/wiring"
)

// workerShutdown is how long tasks of a worker in this process may go on once it is stopped: somebody waits at the terminal.
const workerShutdown = 5 * time.Second

// StartWorker runs a worker in this process until stop is called, not until ctx ends: what the command waits for may be the
// worker's last task. stop waits for its end.
func StartWorker(ctx context.Context, cfg config.Config, logger *slog.Logger, now func() time.Time) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var working sync.WaitGroup
	working.Go(func() {
		err := wiring.RunWorker(ctx, wiring.WorkerConfig{
			Config: cfg, Build: manifest.CurrentBuild(), Concurrency: wiring.DefaultConcurrency,
			ShutdownTimeout: workerShutdown, Logger: logger, Now: now,
		})
		if err != nil && ctx.Err() == nil { // stopped while it opened is no failure
			logger.ErrorContext(ctx, "local worker failed", "err", err)
		}
	})
	return func() { cancel(); working.Wait() }
}

package devstack

import (
	"context"
	"fmt"
	"time"

	"quantbot/internal/local"
)

// engineTimeout bounds the start and the stop of the engines: a cold disk has half a gigabyte of library to read.
const engineTimeout = 2 * time.Minute

// StartEngines starts Redis and ClickHouse with their data in the directory, or joins those that run there.
func StartEngines(ctx context.Context, dir string) (*local.Engines, error) {
	ctx, cancel := context.WithTimeout(ctx, engineTimeout)
	defer cancel()
	engines, err := local.Start(ctx, local.Options{Dir: dir})
	if err != nil {
		return nil, fmt.Errorf("start the local engines: %w", err)
	}
	return engines, nil
}

// StopEngines stops the engines unless somebody else uses them, also after ctx has ended.
func StopEngines(ctx context.Context, engines *local.Engines) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), engineTimeout)
	defer cancel()
	if err := engines.Stop(ctx); err != nil {
		return fmt.Errorf("stop the local engines: %w", err)
	}
	return nil
}

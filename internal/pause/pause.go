// Package pause waits for a time that somebody may cut short.
package pause

import (
	"context"
	"time"
)

// For waits for d, or until ctx ends, and returns ctx's error then. Nothing is waited for when d is not positive.
func For(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

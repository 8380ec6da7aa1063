package backfilltest

import (
	"context"
	"time"

	"quantbot/internal/backfill"
)

// HostClock returns a clock whose only store is the test.
func HostClock(now func() time.Time) *backfill.Clock {
	return &backfill.Clock{Stores: []backfill.TimeFunc{func(context.Context) (time.Time, error) { return now(), nil }}, Host: now}
}

package tasks

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

func TestRetryPolicy(t *testing.T) {
	t.Parallel()
	cause := errors.New("x")
	wrap := func(class backfill.Class) error { return fmt.Errorf("fetch: %w", backfill.WithClass(class, cause)) }
	limited := &backfill.ClassError{Class: backfill.ClassRateLimited, RetryAfter: 40 * time.Second, Err: cause}
	for name, test := range map[string]struct {
		err     error
		tries   int
		failure bool
		delay   time.Duration
	}{
		"worker died":          {asynq.ErrLeaseExpired, 3, false, time.Second},
		"stopped":              {fmt.Errorf("x: %w", context.Canceled), 3, false, time.Second},
		"asked to wait":        {limited, 0, false, 40 * time.Second},
		"asked to slow down":   {wrap(backfill.ClassRateLimited), 0, false, 10 * time.Second},
		"source down for all":  {wrap(backfill.ClassSourceDown), 3, false, time.Second},
		"in other hands":       {wrap(backfill.ClassHeld), 3, false, 10 * time.Second},
		"quota gone":           {wrap(backfill.ClassParked), 0, false, 15 * time.Minute},
		"our stores away":      {wrap(backfill.ClassStore), 9, false, 5 * time.Second},
		"source down, first":   {wrap(backfill.ClassUnavailable), 0, true, time.Second},
		"source down, fourth":  {wrap(backfill.ClassUnavailable), 3, true, 8 * time.Second},
		"source down for long": {wrap(backfill.ClassUnavailable), 99, true, time.Minute},
		"unknown":              {cause, 1, true, 2 * time.Second},
		"newer payload":        {fmt.Errorf("%w", errNewerPayload), 0, false, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, test.failure, isFailure(test.err))
			delay := retryDelay(test.tries, test.err, nil)
			require.GreaterOrEqual(t, delay, test.delay)
			require.LessOrEqual(t, delay, test.delay*5/4)
		})
	}
}

package tasks

import (
	"errors"
	"fmt"
	"time"

	"github.com/hibiken/asynq"

	"quantbot/internal/backfill"
)

// backfill.RetryPolicy says what an error means for a chunk. Here it is put into asynq's terms, with what only the queue knows.

// isFailure is asynq's IsFailure: it reports whether an error spends one of the task's retries.
func isFailure(err error) bool {
	if errors.Is(err, asynq.ErrLeaseExpired) || errors.Is(err, errNewerPayload) {
		return false
	}
	return backfill.PolicyOf(err).SpendsRetry
}

// retryDelay is asynq's RetryDelayFunc: tries counts the failures so far, from 0.
func retryDelay(tries int, err error, _ *asynq.Task) time.Duration {
	if errors.Is(err, asynq.ErrLeaseExpired) { // the worker died
		err = backfill.WithClass(backfill.ClassInterrupted, err)
	}
	return backfill.RetryDelay(err, tries)
}

// result is what asynq gets of a chunk's work: a task whose chunk has failed goes to asynq's archive, where the operator's
// monitor shows the error.
func result(err error) error {
	if _, givenUp := errors.AsType[*backfill.GivenUpError](err); givenUp {
		return fmt.Errorf("%w: %w", asynq.SkipRetry, err)
	}
	return err
}

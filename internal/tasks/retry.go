package tasks

import (
	"errors"
	"math/rand/v2"
	"time"

	"github.com/hibiken/asynq"

	"quantbot/internal/backfill"
)

// classLimits is how many times a chunk may meet an error of a class before it fails. A class that is not here is
// retried until it goes away: being asked to slow down, an exhausted quota and our own stores say nothing about the chunk.
var classLimits = map[backfill.Class]int{
	backfill.ClassUnknown:     backfill.UnansweredLimit,
	backfill.ClassUnavailable: backfill.UnansweredLimit,
	backfill.ClassPermanent:   1,
	backfill.ClassKeyRejected: 1,
}

// crashLimit is how many workers a chunk may kill. A crash is rarely the chunk's fault (a deployment, a full machine), so
// it is generous, but a chunk that kills every worker must not go round for ever.
const crashLimit = 10

// The delays of the policy. Unavailable sources are asked again after 1, 2, 4 and 8 seconds.
const (
	firstDelay       = time.Second
	maxDelay         = time.Minute
	storeDelay       = 5 * time.Second
	heldDelay        = backfill.LeaseTime // when its holder dies, its lease has run out by then
	rateLimitedDelay = 10 * time.Second
	parkedDelay      = 15 * time.Minute
	// foreignDelay keeps a task that is left alone from going round, and is short enough for whoever it belongs to: a worker
	// that learns that it is the stranger stops taking tasks.
	foreignDelay = 20 * time.Second
)

// isFailure tells asynq whether an error spends one of the task's retries.
func isFailure(err error) bool {
	if errors.Is(err, asynq.ErrLeaseExpired) || errors.Is(err, errNewerPayload) {
		return false
	}
	switch backfill.ClassOf(err) {
	case backfill.ClassRateLimited, backfill.ClassParked, backfill.ClassStore, backfill.ClassInterrupted,
		backfill.ClassHeld, backfill.ClassSourceDown, backfill.ClassForeign:
		return false
	default:
		return true
	}
}

// retryDelay is asynq's RetryDelayFunc: tries counts the failures so far, from 0.
func retryDelay(tries int, err error, _ *asynq.Task) time.Duration {
	if errors.Is(err, asynq.ErrLeaseExpired) {
		return firstDelay
	}
	if wait := backfill.RetryAfter(err); wait > 0 {
		return jitter(wait)
	}
	switch backfill.ClassOf(err) {
	case backfill.ClassInterrupted:
		return firstDelay
	case backfill.ClassSourceDown:
		return jitter(firstDelay) // the next try waits inside the source's breaker
	case backfill.ClassStore:
		return jitter(storeDelay)
	case backfill.ClassHeld:
		return jitter(heldDelay)
	case backfill.ClassRateLimited:
		return jitter(rateLimitedDelay)
	case backfill.ClassParked:
		return jitter(parkedDelay)
	case backfill.ClassForeign:
		return jitter(foreignDelay)
	default:
		return jitter(min(firstDelay<<min(tries, 10), maxDelay))
	}
}

// jitter adds up to a quarter, so that chunks that failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/4+1)
}

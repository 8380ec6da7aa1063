package backfill

import (
	"math/rand/v2"
	"time"
)

// RetryPolicy says what becomes of a chunk whose execution ended with an error of a class. All of it stands in this file:
// Worker applies Limit, Filler FallsBack, the package tasks hands Delay and SpendsRetry to asynq, and the ledger counts the
// Unanswered classes.
type RetryPolicy struct {
	// Limit is how many times a chunk may meet the class before it fails; 0 = it is retried until the error goes away.
	Limit int
	// Delay is the pause before the next try. A wait that the service named replaces it.
	Delay time.Duration
	// Doubles says that the delay doubles with each try, up to maxRetryDelay.
	Doubles bool
	// Exact says that the delay has no jitter.
	Exact bool
	// SpendsRetry says that a try counts against QueueRetryLimit.
	SpendsRetry bool
	// Unanswered says that the source gave no answer: such tries add up over the classes, and before the limit is reached the
	// run's fallback sources are asked.
	Unanswered bool
	// FallsBack says that the run's fallback sources are asked at once: this one will not answer, or not soon.
	FallsBack bool
}

// QueueRetryLimit is the queue's own limit of tries, and only a net below ours: Worker ends a chunk earlier.
const QueueRetryLimit = 25

// maxRetryDelay bounds a delay that doubles.
const maxRetryDelay = time.Minute

// unansweredLimit is how often a chunk may get no answer from a source before its fallbacks are asked, or it fails.
const unansweredLimit = 5

// retryPolicies has a row for each class. Being asked to slow down, an exhausted quota and our own stores say nothing about
// the chunk, so they have no limit and spend no retry. An unavailable source is asked again after 1, 2, 4 and 8 seconds.
var retryPolicies = map[Class]RetryPolicy{
	ClassUnknown:     {Limit: unansweredLimit, Delay: time.Second, Doubles: true, SpendsRetry: true, Unanswered: true},
	ClassUnavailable: {Limit: unansweredLimit, Delay: time.Second, Doubles: true, SpendsRetry: true, Unanswered: true},
	ClassPermanent:   {Limit: 1, Delay: time.Second, Doubles: true, SpendsRetry: true, FallsBack: true},
	ClassKeyRejected: {Limit: 1, Delay: time.Second, Doubles: true, SpendsRetry: true, FallsBack: true},
	// A crash is rarely the chunk's fault (a deployment, a full machine), so its limit is generous, but a chunk that kills every
	// worker must not go round for ever.
	ClassCrash:       {Limit: 10, Delay: time.Second, Doubles: true, SpendsRetry: true},
	ClassRateLimited: {Delay: 10 * time.Second},
	ClassParked:      {Delay: 15 * time.Minute, FallsBack: true},
	ClassSourceDown:  {Delay: time.Second}, // the next try waits inside the source's breaker
	ClassStore:       {Delay: 5 * time.Second},
	ClassHeld:        {Delay: LeaseTime}, // when its holder dies, its lease has run out by then
	ClassInterrupted: {Delay: time.Second, Exact: true},
	// The delay keeps a task that is left alone from going round, and is short enough for whoever it belongs to: a worker that
	// learns that it is the stranger stops taking tasks.
	ClassForeign: {Delay: 20 * time.Second},
}

// PolicyOf returns the policy of the error's class; a class without a row gets that of ClassUnknown.
func PolicyOf(err error) RetryPolicy { return policyOf(ClassOf(err)) }

func policyOf(class Class) RetryPolicy {
	if policy, ok := retryPolicies[class]; ok {
		return policy
	}
	return retryPolicies[ClassUnknown]
}

// RetryDelay returns how long to wait after the error before the next try; tries counts the failures so far, from 0.
func RetryDelay(err error, tries int) time.Duration {
	if wait := RetryAfter(err); wait > 0 {
		return jitter(wait)
	}
	return PolicyOf(err).delay(tries)
}

func (p RetryPolicy) delay(tries int) time.Duration {
	switch {
	case p.Exact:
		return p.Delay
	case p.Doubles:
		return jitter(min(p.Delay<<min(tries, 10), maxRetryDelay))
	default:
		return jitter(p.Delay)
	}
}

// jitter adds up to a quarter, so that chunks that failed together do not come back together.
func jitter(d time.Duration) time.Duration {
	return d + rand.N(d/4+1)
}

// UnansweredClasses returns the classes of errors that mean that the source gave no answer.
func UnansweredClasses() []Class {
	var classes []Class
	for _, class := range Classes() {
		if retryPolicies[class].Unanswered {
			classes = append(classes, class)
		}
	}
	return classes
}

// shouldFallBack reports whether an error is a reason to ask another source. A chunk that got no answer is tried again here
// first; unanswered counts its earlier tries.
func shouldFallBack(err error, unanswered int) bool {
	policy := PolicyOf(err)
	return policy.FallsBack || policy.Unanswered && unanswered+1 >= policy.Limit
}

package backfill

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A limit at or above the queue's own would let the queue give a chunk up without an outcome.
func TestOwnLimitsEndAChunkBeforeTheQueueDoes(t *testing.T) {
	t.Parallel()
	most := 0
	for _, class := range Classes() {
		most = max(most, policyOf(class).Limit)
	}
	require.Equal(t, 10, most, "of crashes")
	require.Less(t, most, QueueRetryLimit)
}

func TestEachClassHasAPolicy(t *testing.T) {
	t.Parallel()
	for _, class := range Classes() {
		policy, ok := retryPolicies[class]
		require.True(t, ok, "retryPolicies has no row for class %s", class)
		require.Positive(t, policy.Delay, class)
		if policy.Unanswered {
			require.Equal(t, unansweredLimit, policy.Limit, "tries without an answer add up over the classes, so class %s shares their limit", class)
		}
	}
	require.Len(t, retryPolicies, len(Classes()), "a class of retryPolicies is not in Classes")
	require.Equal(t, []Class{ClassUnknown, ClassUnavailable}, UnansweredClasses())
}

// The service's own word on when to ask again goes before the policy's.
func TestAWaitThatTheServiceNamedIsKept(t *testing.T) {
	t.Parallel()
	limited := &ClassError{Class: ClassRateLimited, RetryAfter: 40 * time.Second, Err: errors.New("x")}
	delay := RetryDelay(limited, 0)
	require.GreaterOrEqual(t, delay, 40*time.Second)
	require.LessOrEqual(t, delay, 50*time.Second)
	require.Equal(t, time.Second, RetryDelay(WithClass(ClassInterrupted, errors.New("x")), 7), "exactly")
}

func TestWhenAnotherSourceIsAsked(t *testing.T) {
	t.Parallel()
	for class, want := range map[Class][2]bool{ // after no and after four unanswered tries
		ClassPermanent:   {true, true},
		ClassKeyRejected: {true, true},
		ClassParked:      {true, true},
		ClassUnavailable: {false, true},
		ClassUnknown:     {false, true},
		ClassSourceDown:  {false, false},
		ClassStore:       {false, false},
		ClassInterrupted: {false, false},
	} {
		err := WithClass(class, errors.New("x"))
		require.Equal(t, want, [2]bool{shouldFallBack(err, 0), shouldFallBack(err, unansweredLimit-1)}, class)
	}
}

package backfill

import (
	"context"
	"errors"
	"time"
)

// Class says what an error means for the chunk that met it. Adapters attach it where the cause is known; its RetryPolicy
// makes it a retry or an end.
type Class string

// The classes of errors.
const (
	// ClassUnknown is an error that nobody classified; it is retried like ClassUnavailable.
	ClassUnknown Class = "unknown"
	// ClassUnavailable: the source is down or its answer was cut: retry, a limited number of times.
	ClassUnavailable Class = "unavailable"
	// ClassSourceDown: the source is down for everybody: retry when it does, without spending a try.
	ClassSourceDown Class = "source_down"
	// ClassRateLimited: asked too fast: retry after the delay, without spending a try.
	ClassRateLimited Class = "rate_limited"
	// ClassParked: the source's quota is used up: retry when it renews, without spending a try.
	ClassParked Class = "parked"
	// ClassKeyRejected: the source refuses our key or plan: the chunk fails.
	ClassKeyRejected Class = "key_rejected"
	// ClassPermanent: the source will never answer this question: the chunk fails.
	ClassPermanent Class = "permanent"
	// ClassStore: our own Redis or ClickHouse did not answer: retry until it does.
	ClassStore Class = "store"
	// ClassCrash: workers died of this chunk: the chunk fails after a limit.
	ClassCrash Class = "crash"
	// ClassHeld: another execution has the chunk: look again later.
	ClassHeld Class = "held"
	// ClassInterrupted: the worker stops: the chunk goes back to the queue.
	ClassInterrupted Class = "interrupted"
	// ClassForeign: the chunk belongs to another deployment or another service than this process works for: it goes back to
	// the queue, for whoever it belongs to.
	ClassForeign Class = "foreign"
)

// Classes returns all of them.
func Classes() []Class {
	return []Class{
		ClassUnknown, ClassUnavailable, ClassSourceDown, ClassRateLimited, ClassParked, ClassKeyRejected, ClassPermanent, ClassStore,
		ClassCrash, ClassHeld, ClassInterrupted, ClassForeign,
	}
}

// ClassError attaches a class, and a wait where the service named one, to an error.
type ClassError struct {
	Class Class
	// RetryAfter is how long to wait before the next try; 0 = the policy's own delay.
	RetryAfter time.Duration
	// Reason says why a store does not take what it is given; empty where that is not known.
	Reason WaitReason
	Err    error
}

// Error returns the text of the wrapped error.
func (e *ClassError) Error() string { return e.Err.Error() }

// Unwrap returns the wrapped error.
func (e *ClassError) Unwrap() error { return e.Err }

// WithClass attaches a class to err. A nil err stays nil.
func WithClass(class Class, err error) error {
	if err == nil {
		return nil
	}
	return &ClassError{Class: class, Err: err}
}

// ClassOf returns the class of err: the outermost attached one, ClassInterrupted for a cancelled context, else
// ClassUnknown.
func ClassOf(err error) Class {
	if classified, ok := errors.AsType[*ClassError](err); ok {
		return classified.Class
	}
	if errors.Is(err, context.Canceled) {
		return ClassInterrupted
	}
	return ClassUnknown
}

// ReasonOf returns why a store refused, WaitOther where the error does not say.
func ReasonOf(err error) WaitReason {
	if classified, ok := errors.AsType[*ClassError](err); ok && classified.Reason != "" {
		return classified.Reason
	}
	return WaitOther
}

// RetryAfter returns the wait that the service asked for, or 0.
func RetryAfter(err error) time.Duration {
	if classified, ok := errors.AsType[*ClassError](err); ok {
		return classified.RetryAfter
	}
	return 0
}

// Sentinels that callers test for.
var (
	// ErrUnknownRun: neither the ledger nor the history knows the run.
	ErrUnknownRun = errors.New("no such run")
	// ErrStale: another process took the run over; this one must stop working on it.
	ErrStale = errors.New("the run was taken over by another process")
	// ErrNotDone: the attempt cannot be finished because chunks are still pending.
	ErrNotDone = errors.New("chunks are still pending")
	// ErrFinished: the attempt is finished already.
	ErrFinished = errors.New("the attempt is finished already")
)

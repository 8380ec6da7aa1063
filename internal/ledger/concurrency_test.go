package ledger_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

func TestManyRecordOneChunk(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1)
	epoch := sealRun(t, l, run, plan)
	var kept, finish atomic.Int64
	var workers sync.WaitGroup
	for range 32 {
		workers.Go(func() {
			recorded, err := l.Record(t.Context(), taskOf(run, plan[0]), epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
			if err != nil {
				t.Errorf("record: %v", err)
			}
			if recorded.Kept {
				kept.Add(1)
			}
			if recorded.Finish {
				finish.Add(1)
			}
		})
	}
	workers.Wait()
	require.Equal(t, int64(1), kept.Load())
	require.Equal(t, int64(32), finish.Load(), "nothing is pending for any of them")
}

// Workers record while the enqueuer seals: whoever comes last, of them and the enqueuer, hears that the run can finish.
func TestLastOneHearsFinish(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	for range 20 {
		run, plan := newRun(24)
		epoch := openRun(t, l, run, plan)
		var finish atomic.Int64
		var parties sync.WaitGroup
		for _, chunk := range plan {
			parties.Go(func() {
				recorded, err := l.Record(t.Context(), taskOf(run, chunk), epoch, outcomeOf(chunk, backfill.OutcomeSuccess))
				if err != nil || !recorded.Kept {
					t.Errorf("record: kept %v, err %v", recorded.Kept, err)
				}
				if recorded.Finish {
					finish.Add(1)
				}
			})
		}
		parties.Go(func() {
			hears, err := l.Seal(t.Context(), run.ID(), epoch)
			if err != nil {
				t.Errorf("seal: %v", err)
			}
			if hears {
				finish.Add(1)
			}
		})
		parties.Wait()
		require.Equal(t, int64(1), finish.Load())
	}
}

func TestOneOfManySettles(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(1)
	epoch := sealRun(t, l, run, plan)
	record(t, l, run, epoch, outcomeOf(plan[0], backfill.OutcomeSuccess))
	var settled atomic.Int64
	var finishers sync.WaitGroup
	for range 16 {
		finishers.Go(func() {
			if err := l.Freeze(t.Context(), run.ID(), 1); err != nil && err != backfill.ErrFinished {
				t.Errorf("freeze: %v", err)
			}
			switch err := l.Settle(t.Context(), run.ID(), resultOf(run)); err {
			case nil:
				settled.Add(1)
			case backfill.ErrFinished:
			default:
				t.Errorf("settle: %v", err)
			}
		})
	}
	finishers.Wait()
	require.Equal(t, int64(1), settled.Load())
}

// Two enqueuers of one run: the one that was taken over stores and seals nothing more, whatever the order.
func TestTakenOverPlannerIsLockedOut(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	run, plan := newRun(2_000)
	epoch, err := l.Open(t.Context(), run, false)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var planners sync.WaitGroup
	planners.Go(func() {
		var err error
		for err == nil {
			err = l.StorePlan(ctx, run.ID(), epoch, plan)
		}
		if err != backfill.ErrStale {
			t.Errorf("store plan: %v", err)
		}
	})
	second, err := l.TakeOver(t.Context(), run.ID())
	require.NoError(t, err)
	planners.Wait()
	require.NoError(t, l.StorePlan(t.Context(), run.ID(), second, plan))
	_, err = l.Seal(t.Context(), run.ID(), epoch)
	require.ErrorIs(t, err, backfill.ErrStale)
	_, err = l.Seal(t.Context(), run.ID(), second)
	require.NoError(t, err)
	require.Equal(t, len(plan), stateOf(t, l, run).Pending)
}

func TestManyRunsFillTheRunCache(t *testing.T) {
	t.Parallel()
	l, _ := newLedger(t)
	_, plan := newRun(1)
	runs := make([]backfill.Run, 100)
	for i := range runs {
		runs[i], _ = newRun(1)
		sealRun(t, l, runs[i], plan)
	}
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for _, run := range runs {
				admission, err := l.Admit(t.Context(), taskOf(run, plan[0]))
				held := admission.Verdict == backfill.Held // by one of the others
				if err != nil || (!held && admission.Run.ID() != run.ID()) {
					t.Errorf("admit: run %s, err %v", admission.Run.ID(), err)
				}
			}
		})
	}
	workers.Wait()
}

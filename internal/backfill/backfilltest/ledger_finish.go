package backfilltest

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// State implements backfill.FinishLedger.
func (l *Ledger) State(_ context.Context, runID uuid.UUID) (state backfill.LedgerState, err error) {
	r, end, err := l.of("State", runID)
	if err != nil {
		return state, err
	}
	defer end()
	state = backfill.LedgerState{
		Run: r.run, Phase: r.phase, Cancelled: r.cancelled, AttemptChunks: r.run.AttemptChunks(), Epoch: r.epoch,
		HeartbeatAge: l.now().Sub(r.heartbeat), Pending: len(r.current().pending), Progress: r.current().progress,
		HistoryStale: r.historyStale, Halted: r.halted,
	}
	if r.result != nil {
		result := *r.result
		state.Result = &result
	}
	return state, nil
}

// Freeze implements backfill.FinishLedger.
func (l *Ledger) Freeze(_ context.Context, runID uuid.UUID, attempt int) error {
	r, end, err := l.of("Freeze", runID)
	if err != nil {
		return err
	}
	defer end()
	switch {
	case r.run.Attempt < attempt:
		return backfill.ErrUnknownRun
	case r.run.Attempt > attempt || r.phase == backfill.PhaseFinished:
		return backfill.ErrFinished
	case r.phase == backfill.PhasePlanning || r.phase == backfill.PhaseRunning && len(r.current().pending) > 0:
		return backfill.ErrNotDone
	}
	r.phase = backfill.PhaseFinishing
	return nil
}

// Outcomes implements backfill.FinishLedger.
func (l *Ledger) Outcomes(_ context.Context, runID uuid.UUID, attempt int, yield func(backfill.Outcome) error) error {
	r, end, err := l.of("Outcomes", runID)
	if errors.Is(err, backfill.ErrUnknownRun) {
		return nil
	}
	if err != nil {
		return err
	}
	var outcomes []backfill.Outcome
	for _, id := range sorted(r.attempt(attempt).outcomes) {
		outcomes = append(outcomes, r.attempt(attempt).outcomes[id])
	}
	end() // yield may call the ledger
	for _, o := range outcomes {
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}

// Settle implements backfill.FinishLedger.
func (l *Ledger) Settle(_ context.Context, runID uuid.UUID, result backfill.RunRecord) error {
	r, end, err := l.of("Settle", runID)
	if err != nil {
		return err
	}
	defer end()
	switch {
	case r.run.Attempt < result.Attempt:
		return backfill.ErrUnknownRun
	case r.run.Attempt > result.Attempt || r.phase == backfill.PhaseFinished:
		return backfill.ErrFinished
	case r.phase != backfill.PhaseFinishing:
		return backfill.ErrNotDone
	}
	r.phase, r.result = backfill.PhaseFinished, &result
	l.release(r)
	return nil
}

// Archive implements backfill.FinishLedger. What is archived stays for the life of the ledger.
func (l *Ledger) Archive(_ context.Context, runID uuid.UUID, attempt int) error {
	r, end, err := l.of("Archive", runID)
	if err != nil {
		return err
	}
	defer end()
	switch {
	case r.run.Attempt < attempt:
		return backfill.ErrUnknownRun
	case r.run.Attempt > attempt:
		return nil
	case r.phase != backfill.PhaseFinished:
		return backfill.ErrNotDone
	}
	delete(l.active, runID)
	return nil
}

// Late implements backfill.RetryLedger.
func (l *Ledger) Late(_ context.Context, runID uuid.UUID) (outcomes []backfill.Outcome, err error) {
	end, err := l.begin("Late")
	if err != nil {
		return nil, err
	}
	defer end()
	r, ok := l.runs[runID]
	if !ok {
		return nil, nil
	}
	for _, id := range sorted(r.late) {
		outcomes = append(outcomes, r.late[id])
	}
	return outcomes, nil
}

// Cancel implements backfill.CancelLedger.
func (l *Ledger) Cancel(_ context.Context, runID uuid.UUID) error {
	r, end, err := l.of("Cancel", runID)
	if err != nil {
		return err
	}
	defer end()
	if r.finished(r.run.Attempt) {
		return backfill.ErrFinished
	}
	r.cancelled = true
	return nil
}

// EndCancelled implements backfill.CancelLedger.
func (l *Ledger) EndCancelled(_ context.Context, runID uuid.UUID, attempt int, epoch int64, outcomes []backfill.Outcome) error {
	r, end, err := l.of("EndCancelled", runID)
	if err != nil {
		return err
	}
	defer end()
	switch {
	case r.finished(attempt):
		return nil
	case epoch < r.createdEpoch:
		return backfill.ErrStale
	}
	for _, o := range outcomes {
		if r.current().pending[o.ChunkID] {
			r.current().put(o)
		}
	}
	return nil
}

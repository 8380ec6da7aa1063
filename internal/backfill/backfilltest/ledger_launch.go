package backfilltest

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Open implements backfill.LaunchLedger.
func (l *Ledger) Open(_ context.Context, run backfill.Run, force bool) (epoch int64, err error) {
	end, err := l.begin("Open")
	if err != nil {
		return 0, err
	}
	defer end()
	if holder, held := l.holder(run); held && !force {
		return 0, &backfill.RefusedError{Reason: backfill.RefusedSameInput, RunID: holder}
	}
	return l.create(run, false)
}

// Rebuild implements backfill.LaunchLedger.
func (l *Ledger) Rebuild(_ context.Context, run backfill.Run) (epoch int64, err error) {
	end, err := l.begin("Rebuild")
	if err != nil {
		return 0, err
	}
	defer end()
	if _, ok := l.runs[run.ID()]; ok {
		return 0, backfill.ErrFinished
	}
	return l.create(run, true)
}

// inputs are the hashes under which a run refuses others like it.
func inputsOf(run backfill.Run) []string {
	if run.Manifest.TypedHash == "" {
		return []string{run.Manifest.InputHash}
	}
	return []string{run.Manifest.InputHash, run.Manifest.TypedHash}
}

// holder returns the run that holds one of the inputs.
func (l *Ledger) holder(run backfill.Run) (holder uuid.UUID, held bool) {
	for _, hash := range inputsOf(run) {
		if claim, ok := l.inputs[hash]; ok && l.holds(claim) {
			return claim.runID, true
		}
	}
	return uuid.Nil, false
}

func (l *Ledger) holds(claim inputClaim) bool {
	r, ok := l.runs[claim.runID]
	return ok && r.phase != backfill.PhaseFinished
}

func (l *Ledger) create(run backfill.Run, rebuild bool) (epoch int64, err error) {
	r := &ledgerRun{late: make(map[backfill.ChunkID]backfill.Outcome), repairs: make(map[backfill.RepairAction]int64)}
	if before, ok := l.runs[run.ID()]; ok {
		switch {
		case before.phase != backfill.PhaseFinished:
			return 0, &existsError{attempt: before.run.Attempt, phase: before.phase}
		case run.Attempt <= before.run.Attempt:
			return 0, backfill.ErrFinished
		}
		r.late, r.repairs = before.late, before.repairs
	}
	r.run, r.phase, r.rebuilt, r.heartbeat = run, backfill.PhasePlanning, rebuild, l.now()
	r.epoch = l.nextEpoch()
	r.createdEpoch = r.epoch
	r.plan, r.attempts = make(map[backfill.ChunkID]backfill.Chunk), make(map[int]*ledgerAttempt)
	for _, hash := range inputsOf(run) {
		if claim, ok := l.inputs[hash]; !ok || !l.holds(claim) {
			l.inputs[hash] = inputClaim{runID: run.ID(), owner: r.createdEpoch}
		}
	}
	l.runs[run.ID()], l.active[run.ID()] = r, true
	return r.epoch, nil
}

// release frees the inputs that the run holds.
func (l *Ledger) release(r *ledgerRun) {
	for _, hash := range inputsOf(r.run) {
		if l.inputs[hash] == (inputClaim{runID: r.run.ID(), owner: r.createdEpoch}) {
			delete(l.inputs, hash)
		}
	}
}

// Heartbeat implements backfill.LaunchLedger.
func (l *Ledger) Heartbeat(_ context.Context, runID uuid.UUID, epoch int64) error {
	r, end, err := l.planner("Heartbeat", runID, epoch)
	if err != nil {
		return err
	}
	defer end()
	r.heartbeat = l.now()
	return nil
}

// StorePlan implements backfill.LaunchLedger.
func (l *Ledger) StorePlan(_ context.Context, runID uuid.UUID, epoch int64, chunks []backfill.Chunk) error {
	if len(chunks) == 0 {
		_, end, err := l.of("StorePlan", runID)
		if err == nil {
			end()
		}
		return err
	}
	r, end, err := l.planner("StorePlan", runID, epoch)
	if err != nil {
		return err
	}
	defer end()
	attempt := r.current()
	for _, chunk := range chunks {
		if _, done := attempt.outcomes[chunk.ID]; !done && !attempt.pending[chunk.ID] && r.phase != backfill.PhasePlanning {
			return fmt.Errorf("attempt %d is sealed without chunk %s", r.run.Attempt, chunk.ID)
		}
	}
	if r.phase != backfill.PhasePlanning {
		return nil
	}
	for _, chunk := range chunks {
		r.plan[chunk.ID] = chunk
		if _, done := attempt.outcomes[chunk.ID]; !done {
			attempt.pending[chunk.ID] = true
		}
	}
	return nil
}

// Seal implements backfill.LaunchLedger.
func (l *Ledger) Seal(_ context.Context, runID uuid.UUID, epoch int64) (finish bool, err error) {
	r, end, err := l.planner("Seal", runID, epoch)
	if err != nil {
		return false, err
	}
	defer end()
	if r.phase == backfill.PhasePlanning {
		if !r.whole() {
			return false, fmt.Errorf("the plan has %d chunks instead of %d", r.current().size(), r.run.AttemptChunks())
		}
		r.phase = backfill.PhaseRunning
	}
	return r.phase == backfill.PhaseRunning && len(r.current().pending) == 0, nil
}

// SetHistoryStale implements backfill.LaunchLedger.
func (l *Ledger) SetHistoryStale(_ context.Context, runID uuid.UUID, stale bool) error {
	r, end, err := l.of("SetHistoryStale", runID)
	if err != nil {
		return err
	}
	defer end()
	r.historyStale = stale
	return nil
}

// TakeOver implements backfill.ReconcileLedger.
func (l *Ledger) TakeOver(_ context.Context, runID uuid.UUID) (epoch int64, err error) {
	r, end, err := l.of("TakeOver", runID)
	if err != nil {
		return 0, err
	}
	defer end()
	if r.finished(r.run.Attempt) {
		return 0, backfill.ErrFinished
	}
	r.epoch, r.heartbeat = l.nextEpoch(), l.now()
	return r.epoch, nil
}

// Abandon implements backfill.ReconcileLedger.
func (l *Ledger) Abandon(_ context.Context, runID uuid.UUID, epoch int64, result backfill.RunRecord) error {
	r, end, err := l.of("Abandon", runID)
	if err != nil {
		return err
	}
	defer end()
	switch {
	case r.phase == backfill.PhaseFinished && r.run.Attempt == result.Attempt:
		return backfill.ErrFinished
	case r.epoch != epoch || r.run.Attempt != result.Attempt:
		return backfill.ErrStale
	case r.phase != backfill.PhasePlanning || r.whole():
		return errors.New("the plan is whole, and its chunks may be being filled")
	}
	clear(r.current().pending)
	r.phase, r.result = backfill.PhaseFinished, &result
	l.release(r)
	return nil
}

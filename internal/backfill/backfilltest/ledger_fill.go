package backfilltest

import (
	"context"
	"fmt"

	"quantbot/internal/backfill"
)

// Admit implements backfill.FillLedger.
func (l *Ledger) Admit(_ context.Context, task backfill.Task) (admission backfill.Admission, err error) {
	end, err := l.begin("Admit")
	if err != nil {
		return admission, err
	}
	defer end()
	r, ok := l.runs[task.RunID]
	if !ok {
		return backfill.Admission{Verdict: backfill.RunMissing}, nil
	}
	if r.finished(task.Attempt) {
		return backfill.Admission{Verdict: backfill.AlreadyDone}, nil
	}
	attempt := r.current()
	if !attempt.pending[task.ChunkID] {
		if _, done := attempt.outcomes[task.ChunkID]; !done && r.phase == backfill.PhasePlanning {
			return backfill.Admission{Verdict: backfill.RunMissing}, nil // its plan may still come
		}
		return backfill.Admission{Verdict: backfill.AlreadyDone}, nil
	}
	tries := attempt.of(task.ChunkID)
	admission = backfill.Admission{Run: r.run, Epoch: r.epoch, Rebuilt: r.rebuilt, Spent: tries.spent}
	if r.cancelled {
		admission.Verdict, admission.Executions = backfill.RunCancelled, tries.executions
		return admission, nil
	}
	if attempt.leases[task.ChunkID].After(l.now()) {
		return backfill.Admission{Verdict: backfill.Held}, nil
	}
	attempt.leases[task.ChunkID] = l.now().Add(backfill.LeaseTime)
	admission.Crashes = tries.open
	tries.executions++
	tries.open++
	admission.Executions = tries.executions
	for _, class := range backfill.UnansweredClasses() {
		admission.Unanswered += tries.classes[class]
	}
	return admission, nil
}

// StillWanted implements backfill.FillLedger.
func (l *Ledger) StillWanted(_ context.Context, e backfill.Execution) (bool, error) {
	r, end, err := l.of("StillWanted", e.Task.RunID)
	if err != nil {
		return false, backfill.WithClass(backfill.ClassStore, err)
	}
	defer end()
	attempt, id := r.current(), e.Task.ChunkID
	switch {
	case r.finished(e.Task.Attempt):
		return false, nil
	case e.Epoch < r.createdEpoch:
		return false, backfill.WithClass(backfill.ClassStore, backfill.ErrStale)
	case r.cancelled:
		return false, nil
	case attempt.pending[id]:
		return attempt.isLast(e), nil
	}
	return attempt.outcomes[id].Status.Rank() == 1, nil
}

// isLast reports whether nobody has taken the chunk up after the execution.
func (a *ledgerAttempt) isLast(e backfill.Execution) bool {
	return e.Number > 0 && a.of(e.Task.ChunkID).executions == e.Number
}

// Renew implements backfill.LeaseLedger.
func (l *Ledger) Renew(_ context.Context, executions []backfill.Execution) (lost []backfill.Execution, err error) {
	end, err := l.begin("Renew")
	if err != nil {
		return nil, err
	}
	defer end()
	for _, e := range executions {
		r, ok := l.runs[e.Task.RunID]
		if !ok || r.finished(e.Task.Attempt) || r.cancelled || e.Epoch < r.createdEpoch ||
			!r.current().pending[e.Task.ChunkID] || !r.current().isLast(e) {
			lost = append(lost, e)
			continue
		}
		r.current().leases[e.Task.ChunkID] = l.now().Add(backfill.LeaseTime)
	}
	return lost, nil
}

// HandBack implements backfill.FillLedger.
func (l *Ledger) HandBack(ctx context.Context, e backfill.Execution, class backfill.Class, spent backfill.Cost) (count int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err // as a command to a server
	}
	r, end, err := l.of("HandBack", e.Task.RunID)
	if err != nil {
		return 0, err
	}
	defer end()
	attempt, id := r.current(), e.Task.ChunkID
	if e.Task.Attempt != r.run.Attempt || !attempt.pending[id] {
		return 0, nil
	}
	if attempt.isLast(e) {
		delete(attempt.leases, id)
	}
	tries := attempt.of(id)
	tries.open = max(0, tries.open-1)
	tries.spent.Calls += spent.Calls
	tries.spent.Credits += spent.Credits
	tries.classes[class]++
	return tries.classes[class], nil
}

// haltFloor is how many candles a run must have fetched before the share of rejected ones can halt it.
const haltFloor = 1_000

// Record implements backfill.FillLedger.
func (l *Ledger) Record(ctx context.Context, task backfill.Task, epoch int64, outcome backfill.Outcome) (recorded backfill.Recorded, err error) {
	if outcome.Status.Rank() == 0 {
		return recorded, fmt.Errorf("record chunk %s: unknown outcome status %q", task.ChunkID, outcome.Status)
	}
	if err := ctx.Err(); err != nil {
		return recorded, err // as a command to a server
	}
	r, end, err := l.of("Record", task.RunID)
	if err != nil {
		return recorded, err
	}
	defer end()
	before, present := r.attempt(task.Attempt).outcomes[task.ChunkID]
	if r.finished(task.Attempt) {
		if outcome.Status.Rank() == 2 && before.Status.Rank() < 2 {
			r.late[task.ChunkID] = outcome
		}
		return recorded, nil
	}
	if epoch < r.createdEpoch {
		return recorded, backfill.ErrStale
	}
	attempt := r.current()
	if !present && !attempt.pending[task.ChunkID] {
		err := fmt.Errorf("chunk %s is not in attempt %d of run %s", task.ChunkID, task.Attempt, task.RunID)
		return recorded, backfill.WithClass(backfill.ClassPermanent, err)
	}
	if outcome.Status.Rank() > before.Status.Rank() {
		attempt.put(outcome)
		recorded.Kept, recorded.Halted = true, r.halt(outcome)
	}
	recorded.Finish = r.phase == backfill.PhaseRunning && len(attempt.pending) == 0
	return recorded, nil
}

// halt cancels the run when the outcome passed one of its limits, and reports whether it did.
func (r *ledgerRun) halt(outcome backfill.Outcome) bool {
	p, m := r.current().progress, &r.run.Manifest
	why := ""
	if m.HaltRejectionRate > 0 && p.Fetched >= haltFloor && float64(p.Rejected)/float64(p.Fetched) > m.HaltRejectionRate {
		why = fmt.Sprintf("%d of %d candles rejected, above the limit of %g%%", p.Rejected, p.Fetched, 100*m.HaltRejectionRate)
	}
	if m.MaxCredits > 0 {
		r.current().credits += outcome.Stats.Credits
		if credits := r.current().credits; credits > m.MaxCredits {
			why = fmt.Sprintf("%d credits used, above the cap of %d", credits, m.MaxCredits)
		}
	}
	if why == "" || r.halted != "" {
		return false
	}
	r.halted, r.cancelled = why, true
	return true
}

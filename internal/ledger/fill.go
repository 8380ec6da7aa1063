package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Admit counts the execution, leases the chunk to it and returns whether to go on. The Run it returns is shared: read it
// only. When the answer is lost and the client asks again, the chunk is Held until the lease that nobody renews runs out.
func (l *Ledger) Admit(ctx context.Context, task backfill.Task) (backfill.Admission, error) {
	run, known := l.runs.lookup(task.RunID, task.Attempt)
	k := keysOf(task.RunID)
	keys := []string{k.meta(), k.pending(task.Attempt), k.outcome(task.Attempt), k.tries(task.Attempt), k.lease(task.Attempt)}
	args := []any{task.Attempt, string(task.ChunkID), flag(!known), backfill.LeaseTime.Microseconds()}
	for _, class := range backfill.UnansweredClasses() {
		args = append(args, string(class))
	}
	r, err := l.run(ctx, admitScript, keys, args...)
	if err != nil {
		return backfill.Admission{}, err
	}
	admission := backfill.Admission{Verdict: admissionVerdict(r.status())}
	if admission.Verdict != backfill.Proceed && admission.Verdict != backfill.RunCancelled {
		return admission, nil
	}
	if !known {
		if err := json.Unmarshal([]byte(r.text(5)), &run); err != nil {
			return backfill.Admission{}, fmt.Errorf("decode run %s: %w", task.RunID, err)
		}
		l.runs.keep(run)
	}
	admission.Run = run
	admission.Epoch = r.number(1)
	admission.Executions = int(r.number(2))
	admission.Crashes = int(r.number(3))
	admission.Rebuilt = r.text(4) == flag(true)
	admission.Unanswered = int(r.number(6))
	admission.Spent = backfill.Cost{Calls: r.number(7), Credits: r.number(8)}
	return admission, nil
}

func admissionVerdict(status string) backfill.AdmissionVerdict {
	switch status {
	case "proceed":
		return backfill.Proceed
	case "cancelled":
		return backfill.RunCancelled
	case "done":
		return backfill.AlreadyDone
	case "held":
		return backfill.Held
	}
	return backfill.RunMissing
}

// StillWanted reports, just before the insert, whether the execution's candles are. False means that nobody wants them any
// more; ErrUnknownRun and ErrStale, with ClassStore, mean that the ledger was lost or rebuilt and the chunk must be taken
// up again.
func (l *Ledger) StillWanted(ctx context.Context, e backfill.Execution) (bool, error) {
	k := keysOf(e.Task.RunID)
	attempt := e.Task.Attempt
	keys := []string{k.meta(), k.pending(attempt), k.outcome(attempt), k.tries(attempt)}
	r, err := l.run(ctx, wantedScript, keys, attempt, formatEpoch(e.Epoch), string(e.Task.ChunkID), e.Number)
	if errors.Is(err, backfill.ErrUnknownRun) || errors.Is(err, backfill.ErrStale) {
		return false, backfill.WithClass(backfill.ClassStore, err)
	}
	if err != nil {
		return false, err
	}
	return r.number(1) == 1, nil
}

// Renew keeps the leases of executions that this process is running, and returns those that are no longer wanted: their
// run is gone, cancelled, rebuilt or over, their chunk has its outcome, or another execution has taken it.
func (l *Ledger) Renew(ctx context.Context, executions []backfill.Execution) (lost []backfill.Execution, err error) {
	type group struct {
		runID   uuid.UUID
		attempt int
		epoch   int64
	}
	groups := make(map[group][]backfill.Execution)
	for _, e := range executions {
		g := group{e.Task.RunID, e.Task.Attempt, e.Epoch}
		groups[g] = append(groups[g], e)
	}
	for g, members := range groups {
		k := keysOf(g.runID)
		args := []any{g.attempt, formatEpoch(g.epoch), backfill.LeaseTime.Microseconds()}
		for _, e := range members {
			args = append(args, string(e.Task.ChunkID), e.Number)
		}
		keys := []string{k.meta(), k.pending(g.attempt), k.tries(g.attempt), k.lease(g.attempt)}
		r, err := l.run(ctx, renewScript, keys, args...)
		if err != nil {
			return nil, err
		}
		for i, e := range members {
			if r.number(1+i) == 0 {
				lost = append(lost, e)
			}
		}
	}
	return lost, nil
}

// HandBack notes an orderly end without an outcome, ends the lease and returns how often the chunk met this class in this
// attempt; 0 when the chunk has an outcome or its attempt is over.
func (l *Ledger) HandBack(ctx context.Context, e backfill.Execution, class backfill.Class, spent backfill.Cost) (count int, err error) {
	k := keysOf(e.Task.RunID)
	attempt := e.Task.Attempt
	keys := []string{k.meta(), k.pending(attempt), k.tries(attempt), k.lease(attempt)}
	r, err := l.run(ctx, handBackScript, keys, attempt, string(e.Task.ChunkID), string(class), e.Number, spent.Calls, spent.Credits)
	if err != nil {
		return 0, err
	}
	return int(r.number(1)), nil
}

// haltFloor is how many candles a run must have fetched before the share of rejected ones can halt it: the first few
// prove nothing.
const haltFloor = 1_000

// Record puts the outcome by compare-and-set. Finish is true for everybody who records while nothing is pending.
// ErrStale says that the run was rebuilt meanwhile; ErrUnknownRun that the ledger lost it. A chunk that the attempt does
// not have is refused with ClassPermanent.
func (l *Ledger) Record(ctx context.Context, task backfill.Task, epoch int64, outcome backfill.Outcome) (backfill.Recorded, error) {
	name, err := progressName(outcome.Status)
	if err != nil {
		return backfill.Recorded{}, fmt.Errorf("record chunk %s: %w", task.ChunkID, err)
	}
	encoded, err := json.Marshal(outcome)
	if err != nil {
		return backfill.Recorded{}, fmt.Errorf("encode outcome of chunk %s: %w", task.ChunkID, err)
	}
	k := keysOf(task.RunID)
	keys := []string{
		k.meta(), k.pending(task.Attempt), k.outcome(task.Attempt), k.tries(task.Attempt), k.progress(task.Attempt), k.late(),
		k.lease(task.Attempt),
	}
	r, err := l.run(ctx, recordScript, keys, task.Attempt, formatEpoch(epoch), string(task.ChunkID),
		outcome.Status.Rank(), encoded, name, outcome.Stats.Fetched, outcome.Stats.Inserted, outcome.Stats.Rejected, haltFloor,
		outcome.Stats.Credits)
	if errors.Is(err, backfill.ErrFinished) {
		return backfill.Recorded{}, nil
	}
	if err != nil {
		return backfill.Recorded{}, err
	}
	if r.status() == "not_in_plan" {
		err := fmt.Errorf("chunk %s is not in attempt %d of run %s", task.ChunkID, task.Attempt, task.RunID)
		return backfill.Recorded{}, backfill.WithClass(backfill.ClassPermanent, err)
	}
	return backfill.Recorded{Kept: r.status() == "kept", Finish: r.number(1) == 1, Halted: r.number(2) == 1}, nil
}

// progressName is the field of the progress hash that counts the status.
func progressName(status backfill.OutcomeStatus) (string, error) {
	switch status {
	case backfill.OutcomeSuccess:
		return "succeeded", nil
	case backfill.OutcomeFailed:
		return "failed", nil
	case backfill.OutcomeCancelled:
		return "cancelled", nil
	}
	return "", fmt.Errorf("unknown outcome status %q", status)
}

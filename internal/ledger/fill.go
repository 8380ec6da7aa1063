package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"

	"quantbot/internal/backfill"
)

// Admit counts the execution and answers whether to go on. The Run it returns is shared: read it only.
func (l *Ledger) Admit(ctx context.Context, task backfill.Task) (backfill.Admission, error) {
	run, known := l.runs.lookup(task.RunID, task.Attempt)
	k := keysOf(task.RunID)
	keys := []string{k.meta(), k.pending(task.Attempt), k.outcome(task.Attempt), k.tries(task.Attempt)}
	r, err := l.run(ctx, admitScript, keys, task.Attempt, string(task.ChunkID), flag(!known))
	if err != nil {
		return backfill.Admission{}, err
	}
	admission := backfill.Admission{Verdict: admissionVerdict(r.status())}
	if admission.Verdict == backfill.RunMissing || admission.Verdict == backfill.AlreadyDone {
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
	}
	return backfill.RunMissing
}

// StillWanted reports whether the attempt is still going on and not cancelled. False means that nobody wants the candles
// any more; ErrUnknownRun and ErrStale, with ClassStore, mean that the ledger was lost or rebuilt and the chunk must be
// taken up again.
func (l *Ledger) StillWanted(ctx context.Context, task backfill.Task, epoch int64) (bool, error) {
	values, err := l.client.HMGet(ctx, keysOf(task.RunID).meta(), "attempt", "phase", "cancelled", "born").Result()
	if err != nil {
		return false, redisError("read the run's phase", err)
	}
	if values[0] == nil {
		return false, backfill.WithClass(backfill.ClassStore, backfill.ErrUnknownRun)
	}
	meta := reply(values)
	phase := backfill.Phase(meta.text(1))
	if meta.text(0) != strconv.Itoa(task.Attempt) || (phase != backfill.PhasePlanning && phase != backfill.PhaseRunning) {
		return false, nil
	}
	born, err := strconv.ParseInt(meta.text(3), 10, 64)
	if err != nil {
		return false, fmt.Errorf("decode the epoch of run %s: %w", task.RunID, err)
	}
	if epoch < born {
		return false, backfill.WithClass(backfill.ClassStore, backfill.ErrStale)
	}
	return meta.text(2) != flag(true), nil
}

// HandBack notes an orderly end without an outcome and returns how often the chunk met this class in this attempt; 0 when
// the chunk has an outcome or its attempt is over.
func (l *Ledger) HandBack(ctx context.Context, task backfill.Task, class backfill.Class) (count int, err error) {
	k := keysOf(task.RunID)
	keys := []string{k.meta(), k.pending(task.Attempt), k.tries(task.Attempt)}
	r, err := l.run(ctx, handBackScript, keys, task.Attempt, string(task.ChunkID), string(class))
	if err != nil {
		return 0, err
	}
	return int(r.number(1)), nil
}

// Record puts the outcome by compare-and-set. Finish is true for everybody who records while nothing is pending.
// ErrStale tells that the run was rebuilt meanwhile; ErrUnknownRun that the ledger lost it. A chunk that the attempt does
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
	}
	r, err := l.run(ctx, recordScript, keys, task.Attempt, formatEpoch(epoch), string(task.ChunkID),
		outcome.Status.Rank(), encoded, name, outcome.Stats.Fetched, outcome.Stats.Inserted)
	if err != nil {
		return backfill.Recorded{}, err
	}
	switch r.status() {
	case "foreign":
		err := fmt.Errorf("chunk %s is not in attempt %d of run %s", task.ChunkID, task.Attempt, task.RunID)
		return backfill.Recorded{}, backfill.WithClass(backfill.ClassPermanent, err)
	case "over":
		return backfill.Recorded{}, nil
	}
	return backfill.Recorded{Kept: r.status() == "kept", Finish: r.number(1) == 1}, nil
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

// IsPending reports whether the chunk still has no outcome.
func (l *Ledger) IsPending(ctx context.Context, task backfill.Task) (bool, error) {
	pending, err := l.client.SIsMember(ctx, keysOf(task.RunID).pending(task.Attempt), string(task.ChunkID)).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return false, redisError("read whether the chunk is pending", err)
	}
	return pending, nil
}

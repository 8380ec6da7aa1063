package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"quantbot/internal/manifest"
)

// Worker takes chunks up and brings each to its outcome: admit, lease, adopt, fill, then what worker_end.go has: hand back,
// count, fail, record, signal. A death between any two of these steps leads to a second execution, which finds what the first
// one left.
type Worker struct {
	Ledger  FillLedger
	Leases  *Leases
	History FillHistory
	Filler  *Filler
	Queue   Queue
	// Deployment says which runs are this process' own.
	Deployment *DeploymentGuard
	Logger     *slog.Logger
}

// errHeld puts a task back whose chunk another worker has. The task stays, so that the chunk is never without one.
var errHeld = WithClass(ClassHeld, errors.New("another worker has the chunk"))

// work is a chunk that this worker has taken up.
type work struct {
	task      Task
	chunk     Chunk
	admission Admission
}

func (w work) execution() Execution {
	return Execution{Task: w.task, Epoch: w.admission.Epoch, Number: w.admission.Executions}
}

// Work takes one chunk from admission to its outcome. It returns nil when the task is over, a *GivenUpError when the chunk
// has failed, and else why the task must be run again, with a Class.
func (w *Worker) Work(ctx context.Context, task Task, chunk Chunk) error {
	admission, err := w.Ledger.Admit(ctx, task)
	if err != nil {
		return fmt.Errorf("admit chunk %s: %w", chunk.ID, err)
	}
	taken := work{task: task, chunk: chunk, admission: admission}
	switch admission.Verdict {
	case AlreadyDone:
		return nil
	case RunMissing:
		return w.missing(ctx, task)
	case Held:
		return errHeld
	case RunCancelled:
		return w.end(ctx, taken, w.Filler.Unfilled(admission, chunk, OutcomeCancelled, "", "run cancelled"))
	case Proceed:
	}
	ctx, release := w.Leases.Hold(ctx, taken.execution())
	defer release()
	if err := w.ownRun(ctx, &admission.Run.Manifest); err != nil {
		w.Filler.Waits.Leave(task.RunID, err)
		return w.unfilled(ctx, taken, w.Filler.Unfilled(admission, chunk, OutcomeFailed, ClassForeign, err.Error()), err)
	}
	return w.proceed(manifest.WithRun(ctx, admission.Run.ID()), taken)
}

// missing decides on a task whose run the ledger does not have. Redis was emptied and the reconciler is about to rebuild
// the run, or the run ended so long ago that the ledger has forgotten it.
func (w *Worker) missing(ctx context.Context, task Task) error {
	record, err := w.History.Run(ctx, task.RunID)
	switch {
	case errors.Is(err, ErrUnknownRun):
		return fmt.Errorf("admit chunk %s: %w", task.ChunkID, err) // neither store has it: the queue gives up in the end
	case err != nil:
		return WithClass(ClassStore, fmt.Errorf("look up run %s: %w", task.RunID, err))
	case record.Status == StatusRunning:
		return WithClass(ClassStore, fmt.Errorf("admit chunk %s: the run waits to be rebuilt", task.ChunkID))
	}
	w.Logger.InfoContext(ctx, "task of a run that is over, dropped", "run_id", task.RunID, "chunk_id", task.ChunkID, "status", record.Status)
	return nil
}

// ownRun leaves the chunks of a run alone that belongs to another deployment, or asks another service than this worker does.
func (w *Worker) ownRun(ctx context.Context, m *manifest.Manifest) error {
	if !w.Deployment.Owns(m.DeploymentID) {
		return w.Deployment.Foreign(ctx, "run "+m.RunID.String(), m.DeploymentID)
	}
	return w.Deployment.Serves(ctx, m)
}

// proceed fills the chunk under its lease, unless it killed too many workers or has been filled before.
func (w *Worker) proceed(ctx context.Context, taken work) error {
	if taken.admission.Crashes >= policyOf(ClassCrash).Limit {
		text := fmt.Sprintf("%d workers died while fetching %s %s %s", taken.admission.Crashes, taken.chunk.Token, taken.chunk.Interval, taken.chunk.Range)
		return w.end(ctx, taken, w.Filler.Unfilled(taken.admission, taken.chunk, OutcomeFailed, ClassCrash, text))
	}
	if outcome, found := w.adopt(ctx, taken); found {
		return w.record(ctx, taken, outcome)
	}
	return w.fill(ctx, taken)
}

// adopt looks for the outcome that an earlier execution made durable before it died, or before the ledger was lost.
func (w *Worker) adopt(ctx context.Context, taken work) (Outcome, bool) {
	if taken.admission.Executions == 1 && !taken.admission.Rebuilt {
		return Outcome{}, false
	}
	outcome, found, err := w.History.Success(ctx, taken.task)
	if err != nil {
		w.Logger.WarnContext(ctx, "run history not readable, fetching the chunk again",
			"run_id", taken.task.RunID, "chunk_id", taken.task.ChunkID, "err", err)
		return Outcome{}, false
	}
	return outcome, found
}

// fill fetches and stores the chunk.
func (w *Worker) fill(ctx context.Context, taken work) error {
	outcome, err := w.Filler.Fill(ctx, taken.admission, taken.chunk, func(ctx context.Context) (bool, error) {
		return w.Ledger.StillWanted(ctx, taken.execution())
	})
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, ErrUnwanted) {
			err = cause // the run was cancelled, or another execution has the chunk
		}
		return w.unfilled(ctx, taken, outcome, err)
	}
	// What is stored is recorded, even if the task was interrupted meanwhile: the history has it as a success by now.
	ctx, cancel := afterItsEnd(ctx)
	defer cancel()
	return w.record(ctx, taken, outcome)
}

// afterItsEndTime bounds what a worker still writes to the ledger after its context has ended.
const afterItsEndTime = 5 * time.Second

// afterItsEnd returns a context in which a worker may still write although ctx has ended.
func afterItsEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), afterItsEndTime)
}

package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/hibiken/asynq"

	"quantbot/internal/backfill"
	"quantbot/internal/manifest"
)

// errHeld puts a task back whose chunk is in work elsewhere. The task stays, so that the chunk is never without one.
var errHeld = backfill.WithClass(backfill.ClassHeld, errors.New("another worker has the chunk"))

// lastWords bounds what a handler still writes to the ledger after its context has ended.
const lastWords = 5 * time.Second

// Handler runs tasks.
type Handler struct {
	Ledger   backfill.FillLedger
	Leases   *backfill.Leases
	History  backfill.FillHistory
	Filler   *backfill.Filler
	Finisher *backfill.Finisher
	Queue    backfill.Queue
	// Deployment says which tasks are this process' own, and whether it may work at all.
	Deployment *backfill.DeploymentGuard
	// Sweep removes redundant versions.
	Sweep  func(context.Context) error
	Logger *slog.Logger
}

// ProcessTask implements asynq.Handler.
func (h *Handler) ProcessTask(ctx context.Context, t *asynq.Task) (err error) {
	ctx, end := traceTask(ctx, t)
	defer func() { end(err) }()
	if err := h.own(ctx, t); err != nil {
		return err
	}
	switch t.Type() {
	case TypeFill:
		return h.fill(ctx, t.Payload())
	case TypeFinish:
		return h.finish(ctx, t.Payload())
	case TypeSweep:
		return h.Sweep(ctx)
	}
	return fmt.Errorf("unknown task type %q: %w", t.Type(), asynq.SkipRetry)
}

// own leaves a task alone that belongs to another deployment, and every task while Redis and ClickHouse do not belong
// together: it goes back to the queue, for whoever it belongs to, and spends no try.
func (h *Handler) own(ctx context.Context, t *asynq.Task) error {
	if err := h.Deployment.Err(); err != nil {
		return backfill.WithClass(backfill.ClassForeign, err)
	}
	if deployment := deploymentOf(t.Payload()); !h.Deployment.Owns(deployment) {
		return h.Deployment.Foreign(ctx, "a task of type "+t.Type(), deployment)
	}
	return nil
}

// ownRun leaves the chunks of a run alone that belongs to another deployment, or asks another service than this worker does.
func (h *Handler) ownRun(ctx context.Context, m *manifest.Manifest) error {
	if !h.Deployment.Owns(m.DeploymentID) {
		return h.Deployment.Foreign(ctx, "run "+m.RunID.String(), m.DeploymentID)
	}
	return h.Deployment.Serves(ctx, m)
}

// fill takes one chunk from admission to its outcome: record first, then signal, then acknowledge by returning nil. A
// death between any two of these steps leads to a second execution, which finds what the first one left.
func (h *Handler) fill(ctx context.Context, payload []byte) error {
	task, chunk, err := decodeFill(payload)
	if err != nil {
		return payloadError(err)
	}
	admission, err := h.Ledger.Admit(ctx, task)
	if err != nil {
		return fmt.Errorf("admit chunk %s: %w", chunk.ID, err)
	}
	w := work{task: task, chunk: chunk, admission: admission}
	switch admission.Verdict {
	case backfill.AlreadyDone:
		return nil
	case backfill.RunMissing:
		return h.missing(ctx, task)
	case backfill.Held:
		return errHeld
	case backfill.RunCancelled:
		return h.end(ctx, w, h.Filler.Unfilled(admission, chunk, backfill.OutcomeCancelled, "", "run cancelled"))
	case backfill.Proceed:
	}
	ctx, release := h.Leases.Hold(ctx, w.execution())
	defer release()
	if err := h.ownRun(ctx, &admission.Run.Manifest); err != nil {
		h.Filler.Waits.Leave(task.RunID, err)
		return h.unfilled(ctx, w, h.Filler.Unfilled(admission, chunk, backfill.OutcomeFailed, backfill.ClassForeign, err.Error()), err)
	}
	return h.proceed(manifest.NewContext(ctx, admission.Run.Manifest), w)
}

// work is a chunk in the hands of this worker.
type work struct {
	task      backfill.Task
	chunk     backfill.Chunk
	admission backfill.Admission
}

func (w work) execution() backfill.Execution {
	return backfill.Execution{Task: w.task, Epoch: w.admission.Epoch, Number: w.admission.Executions}
}

// proceed fills the chunk under its lease.
func (h *Handler) proceed(ctx context.Context, w work) error {
	if w.admission.Crashes >= crashLimit {
		text := fmt.Sprintf("%d workers died while fetching %s %s %s", w.admission.Crashes, w.chunk.Token, w.chunk.Interval, w.chunk.Range)
		return h.end(ctx, w, h.Filler.Unfilled(w.admission, w.chunk, backfill.OutcomeFailed, backfill.ClassCrash, text))
	}
	if outcome, found := h.adopt(ctx, w); found {
		return h.record(ctx, w, outcome)
	}
	outcome, err := h.Filler.Fill(ctx, w.admission, w.chunk, func(ctx context.Context) (bool, error) {
		return h.Ledger.StillWanted(ctx, w.execution())
	})
	if err != nil {
		if cause := context.Cause(ctx); errors.Is(cause, backfill.ErrUnwanted) {
			err = cause // the run was cancelled, or another execution has the chunk
		}
		return h.unfilled(ctx, w, outcome, err)
	}
	// What is stored is recorded, even if the task was interrupted meanwhile: the history has it as a success by now.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	return h.record(ctx, w, outcome)
}

// missing decides on a task whose run the ledger does not have. Redis was emptied and the reconciler is about to rebuild
// the run, or the run ended so long ago that the ledger has forgotten it.
func (h *Handler) missing(ctx context.Context, task backfill.Task) error {
	record, err := h.History.Run(ctx, task.RunID)
	switch {
	case errors.Is(err, backfill.ErrUnknownRun):
		return fmt.Errorf("admit chunk %s: %w", task.ChunkID, err) // neither store has it: asynq gives up in the end
	case err != nil:
		return backfill.WithClass(backfill.ClassStore, fmt.Errorf("look up run %s: %w", task.RunID, err))
	case record.Status == backfill.StatusRunning:
		return backfill.WithClass(backfill.ClassStore, fmt.Errorf("admit chunk %s: the run waits to be rebuilt", task.ChunkID))
	}
	h.Logger.InfoContext(ctx, "task of a run that is over, dropped", "run_id", task.RunID, "chunk_id", task.ChunkID, "status", record.Status)
	return nil
}

// adopt looks for the outcome that an earlier execution made durable before it died, or before the ledger was lost.
func (h *Handler) adopt(ctx context.Context, w work) (backfill.Outcome, bool) {
	if w.admission.Executions == 1 && !w.admission.Rebuilt {
		return backfill.Outcome{}, false
	}
	outcome, found, err := h.History.Success(ctx, w.task)
	if err != nil {
		h.Logger.WarnContext(ctx, "run history not readable, fetching the chunk again",
			"run_id", w.task.RunID, "chunk_id", w.task.ChunkID, "err", err)
		return backfill.Outcome{}, false
	}
	return outcome, found
}

// unfilled hands the chunk back for another try, or ends it when its class allows no more.
func (h *Handler) unfilled(ctx context.Context, w work, outcome backfill.Outcome, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	class := backfill.ClassOf(cause)
	count, err := h.Ledger.HandBack(ctx, w.execution(), class, backfill.Cost{
		Calls: outcome.Stats.APICalls - w.admission.Spent.Calls, Credits: outcome.Stats.Credits - w.admission.Spent.Credits,
	})
	if err != nil {
		h.Logger.WarnContext(ctx, "chunk not handed back to the ledger", "run_id", w.task.RunID, "chunk_id", w.task.ChunkID, "err", err)
		return cause
	}
	if errors.Is(cause, backfill.ErrUnwanted) {
		// Taken up again at once, the chunk is acknowledged, ends as cancelled, or is found in other hands.
		return backfill.WithClass(backfill.ClassInterrupted, cause)
	}
	limit, limited := classLimits[class]
	if limited && count < limit {
		h.Logger.InfoContext(ctx, "chunk is tried again", "run_id", w.task.RunID, "chunk_id", w.task.ChunkID, "token", w.chunk.Token.String(),
			"class", class, "tries", count, "of", limit, "err", cause)
	}
	if !limited || count < limit {
		return cause
	}
	failed := h.Filler.Unfilled(w.admission, w.chunk, backfill.OutcomeFailed, class, cause.Error())
	failed.StartedAt = outcome.StartedAt
	failed.Stats.APICalls, failed.Stats.Credits = outcome.Stats.APICalls, outcome.Stats.Credits
	if err := h.end(ctx, w, failed); err != nil {
		return err
	}
	h.Logger.WarnContext(ctx, "chunk failed", "run_id", w.task.RunID, "chunk_id", w.task.ChunkID, "token", w.chunk.Token.String(),
		"class", class, "tries", count, "err", cause)
	// The chunk is over; asynq keeps the task in its archive, where the operator's monitor shows the error.
	return fmt.Errorf("%w: %w", asynq.SkipRetry, cause)
}

// end records an outcome without candles, writing its history row first.
func (h *Handler) end(ctx context.Context, w work, outcome backfill.Outcome) error {
	if err := h.History.RecordOutcomes(ctx, w.admission.Run, []backfill.Outcome{outcome}); err != nil {
		outcome.Unrecorded = true
		h.Logger.WarnContext(ctx, "outcome row not written, Finish will write it", "run_id", w.task.RunID, "chunk_id", w.task.ChunkID, "err", err)
	}
	return h.record(ctx, w, outcome)
}

func (h *Handler) record(ctx context.Context, w work, outcome backfill.Outcome) error {
	recorded, err := h.Ledger.Record(ctx, w.task, w.admission.Epoch, outcome)
	if errors.Is(err, backfill.ErrStale) || errors.Is(err, backfill.ErrUnknownRun) {
		// The run was rebuilt or lost under our hands: run again under the epoch of the day.
		return backfill.WithClass(backfill.ClassStore, fmt.Errorf("record chunk %s: %w", w.task.ChunkID, err))
	}
	if err != nil {
		return fmt.Errorf("record chunk %s: %w", w.task.ChunkID, err)
	}
	if recorded.Halted {
		m := &w.admission.Run.Manifest
		h.Logger.ErrorContext(ctx, "limit of rejected candles or credits passed, the run halts", "run_id", w.task.RunID,
			"halt_rejection_rate", m.HaltRejectionRate, "max_credits", m.MaxCredits)
	}
	if !recorded.Finish {
		return nil
	}
	if err := h.Queue.EnqueueFinish(ctx, w.admission.Run); err != nil {
		h.Logger.WarnContext(ctx, "finish not enqueued, the reconciler will finish the run", "run_id", w.task.RunID, "err", err)
	}
	return nil
}

func (h *Handler) finish(ctx context.Context, payload []byte) error {
	runID, attempt, err := decodeFinish(payload)
	if err != nil {
		return payloadError(err)
	}
	err = h.Finisher.Finish(ctx, runID, attempt)
	if errors.Is(err, backfill.ErrNotDone) || errors.Is(err, backfill.ErrUnknownRun) {
		h.Logger.WarnContext(ctx, "nothing to finish", "run_id", runID, "attempt", attempt, "err", err)
		return nil
	}
	return err
}

// payloadError keeps tasks of a newer enqueuer for a newer worker and gives up on garbage.
func payloadError(err error) error {
	if errors.Is(err, errNewerPayload) {
		return err
	}
	return fmt.Errorf("%w: %w", err, asynq.SkipRetry)
}

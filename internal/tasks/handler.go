package tasks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/hibiken/asynq"

	"quantbot/internal/backfill"
)

// Handler runs tasks: it decodes them and hands them to the heart.
type Handler struct {
	// Worker fills chunks. Its deployment also says which tasks are this process' own, and whether it may work at all.
	Worker   *backfill.Worker
	Finisher *backfill.Finisher
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
	guard := h.Worker.Deployment
	if err := guard.Err(); err != nil {
		return backfill.WithClass(backfill.ClassForeign, err)
	}
	if deployment := deploymentOf(t.Payload()); !guard.Owns(deployment) {
		return guard.Foreign(ctx, "a task of type "+t.Type(), deployment)
	}
	return nil
}

// fill acknowledges the task by returning nil, which it does after the chunk's outcome is recorded.
func (h *Handler) fill(ctx context.Context, payload []byte) error {
	task, chunk, err := decodeFill(payload)
	if err != nil {
		return payloadError(err)
	}
	return result(h.Worker.Work(ctx, task, chunk))
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

package operate

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is everything that an Operator needs, and remembers what was done under the lock and what without it.
type harness struct {
	record    backfill.RunRecord
	mayNot    error
	cancelled error
	strange   error

	inLock              bool
	noted               int
	withLock, withoutIt []string
}

func (h *harness) did(what string) {
	if h.inLock {
		h.withLock = append(h.withLock, what)
	} else {
		h.withoutIt = append(h.withoutIt, what)
	}
}

func (h *harness) Check(context.Context) error { return h.strange }

func (h *harness) Run(context.Context, uuid.UUID) (backfill.RunRecord, error) { return h.record, nil }

func (h *harness) MayRollBack(context.Context, uuid.UUID) error { return h.mayNot }

func (h *harness) PreviewRollback(context.Context, uuid.UUID) (backfill.RollbackPreview, error) {
	h.did("preview")
	return backfill.RollbackPreview{Versions: 7}, nil
}

func (h *harness) RollBack(context.Context, uuid.UUID, backfill.UndoRequest, bool) error {
	h.did("rollback")
	return nil
}

func (h *harness) Restore(context.Context, uuid.UUID, backfill.UndoRequest) error {
	h.did("restore")
	return nil
}

func (h *harness) Sweep(ctx context.Context, request backfill.SweepRequest) ([]backfill.SweptMonth, error) {
	if request.Locked == nil {
		h.did("sweep")
		return nil, nil
	}
	return nil, request.Locked(ctx, func(context.Context) error { h.did("sweep"); return nil })
}

func (h *harness) Retry(context.Context, uuid.UUID, bool) (backfill.Run, error) {
	h.did("retry")
	return backfill.Run{Attempt: 2}, nil
}

func (h *harness) Cancel(context.Context, uuid.UUID) error {
	h.did("cancel")
	return h.cancelled
}

func (h *harness) Resume(context.Context, backfill.Run) error {
	h.did("resume")
	return nil
}

func (h *harness) operator() *Operator {
	return &Operator{
		History: h, Retrier: h, Canceller: h, Resumer: h, Deployment: h, NoteSwept: func(context.Context) { h.noted++ },
		Logger: slog.New(slog.DiscardHandler),
		WithLock: func(ctx context.Context, work func(context.Context) error) error {
			h.inLock = true
			defer func() { h.inLock = false }()
			return work(ctx)
		},
	}
}

func TestWhatIsDoneUnderTheLock(t *testing.T) {
	t.Parallel()
	h := &harness{record: backfill.RunRecord{Status: backfill.StatusRunning}}
	o, ctx, id := h.operator(), t.Context(), uuid.New()
	require.NoError(t, o.RollBack(ctx, id, backfill.UndoRequest{}, false))
	require.NoError(t, o.Restore(ctx, id, backfill.UndoRequest{}))
	run, err := o.Retry(ctx, id, false)
	require.NoError(t, err)
	require.Equal(t, 2, run.Attempt)
	_, err = o.Sweep(ctx, backfill.SweepRequest{})
	require.NoError(t, err)
	require.Equal(t, []string{"rollback", "restore", "retry", "sweep"}, h.withLock)
	require.NoError(t, o.Cancel(ctx, id))
	_, err = o.Resume(ctx, id)
	require.NoError(t, err)
	_, err = o.PreviewRollback(ctx, id)
	require.NoError(t, err)
	require.Equal(t, []string{"cancel", "resume", "preview"}, h.withoutIt)
}

func TestSweepOfEverythingIsNoted(t *testing.T) {
	t.Parallel()
	h := &harness{}
	for _, request := range []backfill.SweepRequest{{DryRun: true}, {Intervals: []candle.Interval{candle.Interval1m}}} {
		_, err := h.operator().Sweep(t.Context(), request)
		require.NoError(t, err)
	}
	require.Zero(t, h.noted)
	_, err := h.operator().Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.Equal(t, 1, h.noted)
}

func TestNothingIsDoneForAnotherDeployment(t *testing.T) {
	t.Parallel()
	h := &harness{strange: errors.New("Redis became another one")}
	o, ctx, id := h.operator(), t.Context(), uuid.New()
	_, retried := o.Retry(ctx, id, false)
	_, swept := o.Sweep(ctx, backfill.SweepRequest{})
	for _, err := range []error{o.RollBack(ctx, id, backfill.UndoRequest{}, true), o.Restore(ctx, id, backfill.UndoRequest{}), o.Cancel(ctx, id), retried, swept} {
		require.ErrorIs(t, err, h.strange)
	}
	require.Empty(t, append(h.withLock, h.withoutIt...))
	require.Zero(t, h.noted)
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	id := uuid.New()
	for _, cause := range []error{backfill.ErrUnknownRun, backfill.ErrFinished} {
		err := (&harness{cancelled: cause}).operator().Cancel(t.Context(), id)
		require.Equal(t, &backfill.RefusedError{Reason: backfill.RefusedNotRunning, RunID: id}, err)
	}
	_, err := (&harness{record: backfill.RunRecord{Status: backfill.StatusFailed}}).operator().Resume(t.Context(), id)
	require.Equal(t, &backfill.RefusedError{Reason: backfill.RefusedNothingToResume, RunID: id, Status: backfill.StatusFailed}, err)
	refused := &harness{mayNot: &backfill.RefusedError{Reason: backfill.RefusedPurging, RunID: id}}
	_, err = refused.operator().PreviewRollback(t.Context(), id)
	require.Equal(t, backfill.RefusedPurging, backfill.RefusalOf(err))
	require.Empty(t, refused.withoutIt)
}

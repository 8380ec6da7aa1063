package wiring

import (
	"context"
	"log/slog"
	"time"

	"quantbot/internal/ledger"
	"quantbot/internal/operate"
)

// Operator does what people ask of runs; name is this process in the outcomes that it writes.
func (s *Stores) Operator(name string, logger *slog.Logger, now func() time.Time) *operate.Operator {
	return &operate.Operator{
		History: s.History, Retrier: s.Retrier(logger, now), Canceller: s.Canceller(name, logger, now),
		Resumer: s.Reconciler(name, logger, now), Deployment: s.Deployment,
		WithLock: func(ctx context.Context, work func(context.Context) error) error {
			return s.Ledger.WithLock(ctx, ledger.MaintenanceLock, work)
		},
		NoteSwept: func(ctx context.Context) { s.noteSwept(ctx, now(), logger) },
		Logger:    logger,
	}
}

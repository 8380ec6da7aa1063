package manifest

import (
	"context"
	"log/slog"

	"github.com/google/uuid"
)

type runKey struct{}

// WithRun makes log records of everything that works for the run name it.
func WithRun(ctx context.Context, runID uuid.UUID) context.Context {
	return context.WithValue(ctx, runKey{}, runID)
}

// LogHandler adds the run_id that the context has to each record that does not name one itself. Under an open group it falls into
// the group.
func LogHandler(inner slog.Handler) slog.Handler { return logHandler{inner} }

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if runID, ok := ctx.Value(runKey{}).(uuid.UUID); ok && !names(r, runIDKey) {
		r = r.Clone() // the caller's copy shares the memory that AddAttrs appends to
		r.AddAttrs(slog.String(runIDKey, runID.String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return logHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h logHandler) WithGroup(name string) slog.Handler {
	return logHandler{h.Handler.WithGroup(name)}
}

// runIDKey is the key of run ids in logs.
const runIDKey = "run_id"

func names(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

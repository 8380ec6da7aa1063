package manifest

import (
	"context"
	"log/slog"
)

type contextKey struct{}

// NewContext carries the current run's manifest to everything that works for the run.
func NewContext(ctx context.Context, m Manifest) context.Context {
	return context.WithValue(ctx, contextKey{}, &m)
}

// FromContext gives the current run's manifest back.
func FromContext(ctx context.Context) (Manifest, bool) {
	m, ok := ctx.Value(contextKey{}).(*Manifest)
	if !ok {
		return Manifest{}, false
	}
	return *m, true
}

// LogHandler adds the run_id of the context's run to each record that does not name one.
func LogHandler(inner slog.Handler) slog.Handler { return logHandler{inner} }

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	if m, ok := ctx.Value(contextKey{}).(*Manifest); ok && !names(r, "run_id") {
		r = r.Clone()
		r.AddAttrs(slog.String("run_id", m.RunID.String()))
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

func names(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

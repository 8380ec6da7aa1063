package manifest

import (
	"context"
	"log/slog"
)

type (
	contextKey struct{}
	attemptKey struct{}
	chunkKey   struct{}
)

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

// WithAttempt makes log records name the run's attempt, counted from 1.
func WithAttempt(ctx context.Context, attempt int) context.Context {
	return context.WithValue(ctx, attemptKey{}, attempt)
}

// WithChunk makes log records name the chunk.
func WithChunk(ctx context.Context, chunkID string) context.Context {
	return context.WithValue(ctx, chunkKey{}, chunkID)
}

// LogHandler adds run_id, attempt and chunk_id, as far as the context has them, to each record that does not name them
// itself. Under an open group they fall into the group.
func LogHandler(inner slog.Handler) slog.Handler { return logHandler{inner} }

type logHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h logHandler) Handle(ctx context.Context, r slog.Record) error {
	r = r.Clone() // the caller's copy shares the memory that AddAttrs appends to
	for _, attr := range contextAttrs(ctx) {
		if !names(r, attr.Key) {
			r.AddAttrs(attr)
		}
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

func contextAttrs(ctx context.Context) []slog.Attr {
	var attrs []slog.Attr
	if m, ok := ctx.Value(contextKey{}).(*Manifest); ok {
		attrs = append(attrs, slog.String("run_id", m.RunID.String()))
	}
	if attempt, ok := ctx.Value(attemptKey{}).(int); ok {
		attrs = append(attrs, slog.Int("attempt", attempt))
	}
	if chunkID, ok := ctx.Value(chunkKey{}).(string); ok {
		attrs = append(attrs, slog.String("chunk_id", chunkID))
	}
	return attrs
}

func names(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}

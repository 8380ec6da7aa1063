package wiring_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"quantbot/internal/tasks"
	"quantbot/internal/tracing"
)

// One trace goes from the launch, over what Redis carries to the workers, to the end of the run. The provider is the
// process's, so tests beside it may leave spans: only those of the trace are looked at.
func TestATraceGoesFromLaunchToFinish(t *testing.T) {
	w := setup(t)
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	stop := tracing.Use(provider, w.logger)
	run, chunks := newRun(t, 2)

	ctx, end := tracing.Span(t.Context(), "launch", trace.SpanKindInternal)
	id := trace.SpanContextFromContext(ctx).TraceID()
	require.NoError(t, w.launcher.Launch(ctx, run, chunks, false))
	end(nil)
	info, err := w.inspector.GetTaskInfo(tasks.QueueIngest, run.ID().String()+":1:"+string(chunks[0].ID))
	require.NoError(t, err)
	require.Contains(t, info.Headers["traceparent"], id.String())
	require.NotContains(t, string(info.Payload), id.String(), "the payload is what it was")

	h := w.handler()
	h.Worker.Ledger, h.Worker.Filler.Store = tracing.FillLedger(h.Worker.Ledger), tracing.Store(h.Worker.Filler.Store)
	h.Worker.Filler.Source = only(tracing.Source(w.source, time.Now))
	served, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- tasks.Serve(served, tasks.ServerConfig{Redis: w.conn, Concurrency: 2, ShutdownTimeout: 5 * time.Second}, h, nil)
	}()
	requireExact(t, w.ended(t, run), 2)
	cancel()
	require.NoError(t, <-done)
	recorded := spans.GetSpans()
	stop()

	byID, names := map[trace.SpanID]tracetest.SpanStub{}, map[string]int{}
	for _, s := range recorded {
		if s.SpanContext.TraceID() == id {
			byID[s.SpanContext.SpanID()] = s
			names[s.Name]++
		}
	}
	require.Equal(t, map[string]int{
		"launch": 1, "enqueue": 1, "candles:fill": 2, "fetch page": 2, "insert": 2, "record": 2, "run:finish": 1,
	}, names)
	parents := map[string]string{}
	for _, s := range byID {
		parents[s.Name] = byID[s.Parent.SpanID()].Name
	}
	require.Equal(t, map[string]string{
		"launch": "", "enqueue": "launch", "candles:fill": "enqueue", "fetch page": "candles:fill", "insert": "candles:fill",
		"record": "candles:fill", "run:finish": "candles:fill",
	}, parents)
	for _, s := range byID {
		if s.Name == "candles:fill" {
			require.True(t, s.Parent.IsRemote(), "it came through Redis")
			attributes := map[string]string{}
			for _, a := range s.Attributes {
				attributes[string(a.Key)] = a.Value.String()
			}
			require.Equal(t, []string{"attempt", "chunk_id", "from", "interval", "run_id", "to", "token"}, slices.Sorted(maps.Keys(attributes)))
			require.Equal(t, run.ID().String(), attributes["run_id"])
		}
	}
}

// Without a trace, nothing is carried and nothing is made.
func TestWithoutATraceNothingIsCarried(t *testing.T) {
	w := setup(t)
	run, chunks := newRun(t, 1)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	info, err := w.inspector.GetTaskInfo(tasks.QueueIngest, run.ID().String()+":1:"+string(chunks[0].ID))
	require.NoError(t, err)
	require.Empty(t, info.Headers)
	require.Nil(t, tracing.Headers(t.Context()))
	require.False(t, tracing.On(t.Context()))
	require.Zero(t, testing.AllocsPerRun(100, func() {
		_ = tracing.Headers(t.Context())
		_ = tracing.Continue(t.Context(), nil)
	}))
}

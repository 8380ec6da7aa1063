package tasks

import (
	"context"

	"github.com/hibiken/asynq"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"quantbot/internal/backfill"
	"quantbot/internal/tracing"
)

// newTask puts the trace of ctx, if there is one, into the task's headers: the payload's bytes stay what they are.
func newTask(ctx context.Context, taskType string, payload []byte) *asynq.Task {
	if headers := tracing.Headers(ctx); headers != nil {
		return asynq.NewTaskWithHeaders(taskType, payload, headers)
	}
	return asynq.NewTask(taskType, payload)
}

// traceEnqueue begins the span of a batch of tasks.
func traceEnqueue(ctx context.Context, run backfill.Run, chunks int) (spanned context.Context, end func(error)) {
	if !tracing.On(ctx) {
		return ctx, untraced
	}
	return tracing.Span(ctx, "enqueue", trace.SpanKindProducer, attribute.String("run_id", run.ID().String()),
		attribute.Int("attempt", run.Attempt), attribute.Int("chunks", chunks))
}

// traceTask goes on with the trace that enqueued the task. A task that carries none has no span.
func traceTask(ctx context.Context, t *asynq.Task) (spanned context.Context, end func(error)) {
	headers := t.Headers()
	if len(headers) == 0 {
		return ctx, untraced
	}
	return tracing.Span(tracing.Continue(ctx, headers), t.Type(), trace.SpanKindConsumer, describeTask(t)...)
}

func untraced(error) {}

// describeTask says in a span which chunk or attempt a task is about.
func describeTask(t *asynq.Task) []attribute.KeyValue {
	switch t.Type() {
	case TypeFill:
		if task, chunk, err := decodeFill(t.Payload()); err == nil {
			return []attribute.KeyValue{
				attribute.String("run_id", task.RunID.String()), attribute.Int("attempt", task.Attempt), attribute.String("chunk_id", string(task.ChunkID)),
				attribute.String("token", chunk.Token.String()), attribute.String("interval", chunk.Interval.String()),
				attribute.Int64("from", chunk.Range.From), attribute.Int64("to", chunk.Range.To),
			}
		}
	case TypeFinish:
		if runID, attempt, err := decodeFinish(t.Payload()); err == nil {
			return []attribute.KeyValue{attribute.String("run_id", runID.String()), attribute.Int("attempt", attempt)}
		}
	}
	return nil
}

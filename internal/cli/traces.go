package cli

import (
	"context"

	"github.com/google/uuid"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"quantbot/internal/config"
	"quantbot/internal/manifest"
	"quantbot/internal/tracing"
	"quantbot/internal/wiring"
)

// traced makes a span of the launch of a run or attempt, from which the spans of all its chunks hang, where traces are wanted.
func (a *app) traced(ctx context.Context, cfg config.Config, runID uuid.UUID, launch func(context.Context) error) (err error) {
	stop, err := wiring.StartTraces(ctx, "quantbot", cfg, manifest.CurrentBuild(), a.logger(), a.now)
	if err != nil {
		return err
	}
	defer stop()
	ctx, end := tracing.Span(ctx, "launch", trace.SpanKindInternal, attribute.String("run_id", runID.String()))
	defer func() { end(err) }()
	return launch(ctx)
}

// Package tracing follows a run through the processes: from its launch over every fetched page and insert to its end, in
// one trace, by OpenTelemetry. It is off unless the environment names a collector; then nothing is created, sent or
// carried.
package tracing

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names the instrumentation in spans.
const scope = "quantbot"

// flushLimit bounds what the end of a process waits for spans to be sent.
const flushLimit = 5 * time.Second

// Start sends spans to the collector that the standard variables name (OTEL_EXPORTER_OTLP_ENDPOINT and the like, read by
// the exporter itself). service is this program, unless OTEL_SERVICE_NAME says otherwise. The returned function sends what
// is left. A collector that does not answer costs spans and nothing else.
func Start(ctx context.Context, service, version string, logger *slog.Logger, now func() time.Time) (stop func(), err error) {
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithProxy(proxyUnlessRedirected))
	if err != nil {
		return nil, errors.New("set up traces: the OTEL_EXPORTER_OTLP_… variables are not usable") // they may hold a token
	}
	about, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(),
		resource.WithAttributes(attribute.String("service.name", service), attribute.String("service.version", version)),
		resource.WithFromEnv())
	if err != nil && !errors.Is(err, resource.ErrPartialResource) {
		return nil, errors.New("set up traces: OTEL_RESOURCE_ATTRIBUTES is not usable")
	}
	otel.SetErrorHandler(&complaints{logger: logger, now: now})
	return Use(sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter), sdktrace.WithResource(about)), logger), nil
}

// errRedirected ends a request that a collector sent elsewhere.
var errRedirected = errors.New("the collector redirects")

// proxyUnlessRedirected keeps the token of the collector, and the spans, from any other host: no redirect is followed. It is
// asked before each request, and the exporter has no other place to say so that leaves the certificates and the timeout of
// its variables in force.
func proxyUnlessRedirected(r *http.Request) (*url.URL, error) {
	if r.Response != nil {
		return nil, errRedirected
	}
	return http.ProxyFromEnvironment(r)
}

// Use makes a provider the process's; tests give one that keeps spans in memory.
func Use(provider *sdktrace.TracerProvider, logger *slog.Logger) (stop func()) {
	otel.SetTracerProvider(provider)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), flushLimit)
		defer cancel()
		if err := provider.Shutdown(ctx); err != nil {
			logger.WarnContext(ctx, "the last traces were not sent")
		}
	}
}

// complaintEvery is how often a collector that does not answer is complained about.
const complaintEvery = time.Minute

// complaints logs that traces are lost, now and then, and not the error: it names the URL.
type complaints struct {
	logger *slog.Logger
	now    func() time.Time
	last   atomic.Int64
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	now := c.now().UnixNano()
	if last := c.last.Load(); (last != 0 && now-last < int64(complaintEvery)) || !c.last.CompareAndSwap(last, now) {
		return
	}
	if errors.Is(err, errRedirected) {
		c.logger.WarnContext(context.Background(),
			"traces not sent: the collector redirects, and redirects are not followed: set OTEL_EXPORTER_OTLP_ENDPOINT to the host that takes them itself")
		return
	}
	c.logger.WarnContext(context.Background(), "traces not sent: does the collector at OTEL_EXPORTER_OTLP_ENDPOINT answer?")
}

// Span begins a span; end it with what became of the work.
func Span(ctx context.Context, name string, kind trace.SpanKind, attributes ...attribute.KeyValue) (spanned context.Context, end func(error)) {
	spanned, span := otel.Tracer(scope).Start(ctx, name, trace.WithSpanKind(kind), trace.WithAttributes(attributes...)) //nolint:spancheck // ended by the returned function
	return spanned, func(err error) { finish(span, err) }                                                               //nolint:spancheck // whoever has this function ends it
}

func finish(span trace.Span, err error) {
	if err != nil {
		span.SetStatus(codes.Error, err.Error())
	}
	span.End()
}

// On reports whether ctx belongs to a trace that is recorded. Work outside of one begins no spans.
func On(ctx context.Context) bool { return trace.SpanFromContext(ctx).IsRecording() }

// Headers are what carries the trace of ctx to the process that runs a task; nil when there is none to carry.
func Headers(ctx context.Context) map[string]string {
	if !trace.SpanContextFromContext(ctx).IsSampled() {
		return nil
	}
	headers := make(propagation.MapCarrier, 2)
	otel.GetTextMapPropagator().Inject(ctx, headers)
	return headers
}

// Continue goes on with the trace that a task's headers carry.
func Continue(ctx context.Context, headers map[string]string) context.Context {
	if len(headers) == 0 {
		return ctx
	}
	return otel.GetTextMapPropagator().Extract(ctx, propagation.MapCarrier(headers))
}

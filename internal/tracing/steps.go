package tracing

import (
	"context"
	"iter"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// Source makes a span of every page that is fetched, waits for the budget included.
func Source(source backfill.Source, now func() time.Time) backfill.Source {
	return tracedSource{source, now}
}

type tracedSource struct {
	backfill.Source
	now func() time.Time
}

// Candles implements backfill.Source. A span is made when its page is there: only then it is known that there is one.
func (s tracedSource) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	pages := s.Source.Candles(ctx, token, interval, r)
	if !On(ctx) {
		return pages
	}
	return func(yield func(backfill.Page, error) bool) {
		began := s.now()
		for page, err := range pages {
			_, span := otel.Tracer(scope).Start(ctx, "fetch page", trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(began),
				trace.WithAttributes(attribute.String("source", s.Name()), attribute.Int("rows", len(page.Candles)), attribute.Int64("api_calls", page.APICalls)))
			finish(span, err)
			if !yield(page, err) {
				return
			}
			began = s.now()
		}
	}
}

// Store makes a span of every chunk that is stored.
func Store(store backfill.CandleStore) backfill.CandleStore { return tracedStore{store} }

type tracedStore struct{ backfill.CandleStore }

// WriteChunk implements backfill.CandleStore.
func (s tracedStore) WriteChunk(ctx context.Context, w backfill.ChunkWrite) (recorded bool, err error) {
	if !On(ctx) {
		return s.CandleStore.WriteChunk(ctx, w)
	}
	ctx, end := Span(ctx, "insert", trace.SpanKindClient, attribute.Int("rows", len(w.Candles)))
	defer func() { end(err) }()
	return s.CandleStore.WriteChunk(ctx, w)
}

// FillLedger makes a span of every outcome that is recorded.
func FillLedger(ledger backfill.FillLedger) backfill.FillLedger { return tracedLedger{ledger} }

type tracedLedger struct{ backfill.FillLedger }

// Record implements backfill.FillLedger.
func (l tracedLedger) Record(ctx context.Context, task backfill.Task, epoch int64, o backfill.Outcome) (recorded backfill.Recorded, err error) {
	if !On(ctx) {
		return l.FillLedger.Record(ctx, task, epoch, o)
	}
	ctx, end := Span(ctx, "record", trace.SpanKindClient, attribute.String("outcome", string(o.Status)))
	defer func() { end(err) }()
	return l.FillLedger.Record(ctx, task, epoch, o)
}

package backfill

import (
	"context"

	"quantbot/internal/candle"
)

// Rejection is a candle that broke a rule, for quarantine.
type Rejection struct {
	Candle candle.Candle
	Rule   candle.Rule
	// Detail says which item of the answer and which field was no number; mostly empty.
	Detail string
}

// ChunkWrite is everything that a filled chunk leaves in the store.
type ChunkWrite struct {
	Run     Run
	Chunk   Chunk
	Candles []candle.Candle
	// Rejected go to quarantine.
	Rejected []Rejection
	// Outcome is the chunk's row in the history.
	Outcome Outcome
}

// CandleStore keeps candles.
type CandleStore interface {
	// WriteChunk makes the candles durable, then, in the same flush, the quarantine and the outcome row. Writing the same
	// chunk again changes nothing (R6). recorded is false when the candles are durable but the outcome row is not: that
	// is trouble with the audit trail, already logged, and never an error of the chunk (R7).
	WriteChunk(ctx context.Context, w ChunkWrite) (recorded bool, err error)
	// Deduplicate returns which of the chunk's candles, from this source, are worth storing, and how many of those bring nothing
	// over what other runs serve. Where that cannot be known, all are stored and none counts.
	Deduplicate(ctx context.Context, run Run, chunk Chunk, source string, candles []candle.Candle) (store []candle.Candle, shadowed int64)
}

package clickhouse

import (
	"context"

	"quantbot/internal/backfill"
)

// WriteChunk writes one chunk by itself, without a Writer that shares inserts: what a test writes is one insert then, with the
// settings of its context.
func (db *DB) WriteChunk(ctx context.Context, w backfill.ChunkWrite) (recorded bool, err error) {
	writes := []backfill.ChunkWrite{w}
	if err := db.insertCandles(ctx, writes); err != nil {
		return false, err
	}
	return db.insertAudit(ctx, writes)[0], nil
}

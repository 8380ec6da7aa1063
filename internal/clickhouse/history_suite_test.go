package clickhouse

import (
	"context"
	"testing"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
)

func TestHistoryPassesTheSuite(t *testing.T) {
	t.Parallel()
	backfilltest.RunHistorySuite(t, func(t *testing.T) backfilltest.AnyHistory {
		db, _ := openMigrated(t)
		writer := NewWriter(db)
		t.Cleanup(writer.Close)
		return historyAndWriter{db, writer}
	})
}

// historyAndWriter is what a worker has of ClickHouse.
type historyAndWriter struct {
	*DB
	writer *Writer
}

func (h historyAndWriter) WriteChunk(ctx context.Context, w backfill.ChunkWrite) (bool, error) {
	return h.writer.WriteChunk(ctx, w)
}

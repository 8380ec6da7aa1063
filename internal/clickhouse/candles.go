package clickhouse

import (
	"context"
	"fmt"
	"math"

	"quantbot/internal/backfill"
)

// WriteChunk makes the chunk's candles durable, then its quarantine and its outcome row. Trouble with either of the
// latter is logged and answered with recorded = false: the candles are there, and what is missing of the audit trail is
// written later (R7).
//
// An error means that candles may be missing; some of them may be there, because each month commits by itself. Writing
// the chunk again is always right. It is backfill.ClassStore, except for candles that no column can hold.
func (db *DB) WriteChunk(ctx context.Context, w backfill.ChunkWrite) (recorded bool, err error) {
	writes := []backfill.ChunkWrite{w}
	if err := db.insertCandles(ctx, writes); err != nil {
		return false, err
	}
	return db.insertAudit(ctx, writes), nil
}

// insertCandles inserts the candles of all chunks, in as few blocks as the server's limit of months allows.
func (db *DB) insertCandles(ctx context.Context, writes []backfill.ChunkWrite) error {
	for _, w := range writes {
		if err := checkTimes(w); err != nil {
			return backfill.WithClass(backfill.ClassPermanent, err)
		}
	}
	for _, part := range splitByMonth(writes, maxMonthsPerInsert) {
		block := newCandleBlock(part)
		inserted := db.observeInsert(block.rows())
		err := db.insertColumns(ctx, insertCandlesSQL, block.columns())
		inserted(err)
		if err != nil {
			return db.storeError(fmt.Sprintf("insert %d candles of %s", block.rows(), subject(part)), err)
		}
	}
	return nil
}

// subject names the chunks of a flush in an error.
func subject(writes []backfill.ChunkWrite) string {
	first := "chunk " + string(writes[0].Chunk.ID)
	if len(writes) == 1 {
		return first
	}
	return fmt.Sprintf("%s and %d more", first, len(writes)-1)
}

// checkTimes refuses what a DateTime column cannot hold: the driver would wrap it around to another year without a
// word.
func checkTimes(w backfill.ChunkWrite) error {
	for i := range w.Candles {
		if t := w.Candles[i].OpenTime; t < 0 || t > math.MaxUint32 {
			return fmt.Errorf("insert candles of chunk %s: open time %d lies outside 1970 to 2106", w.Chunk.ID, t)
		}
	}
	return nil
}

// insertAudit writes quarantine and outcome rows of chunks whose candles are stored, and reports whether the outcomes
// are. Both are tried whatever becomes of the other.
func (db *DB) insertAudit(ctx context.Context, writes []backfill.ChunkWrite) (recorded bool) {
	if err := db.insertRejected(ctx, writes); err != nil {
		db.warnUnrecorded(ctx, "quarantine", writes, err)
	}
	outcomes := make([]taskRow, len(writes))
	for i, w := range writes {
		outcomes[i] = newOutcomeRow(w.Run, w.Outcome)
	}
	if err := insertStructs(ctx, db, insertOutcomesSQL, outcomes); err != nil {
		db.warnUnrecorded(ctx, "outcome row", writes, err)
		return false
	}
	return true
}

func (db *DB) warnUnrecorded(ctx context.Context, missing string, writes []backfill.ChunkWrite, err error) {
	err = db.explain(err)
	for _, w := range writes {
		db.log.WarnContext(ctx, "candles stored, audit trail incomplete for now", "missing", missing, "run_id", w.Run.ID(), "chunk_id", w.Chunk.ID, "token", w.Chunk.Token, "err", err)
	}
}

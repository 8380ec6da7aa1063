package clickhouse

import (
	"context"
	"fmt"
	"math"

	"quantbot/internal/backfill"
)

// insertCandles inserts the candles of all chunks, in as few blocks as the server's limit of months allows.
func (db *DB) insertCandles(ctx context.Context, writes []backfill.ChunkWrite) error {
	for _, w := range writes {
		if err := checkTimes(w); err != nil {
			return backfill.WithClass(backfill.ClassPermanent, err)
		}
	}
	for _, part := range splitByMonth(writes, maxMonthsPerInsert) {
		block := newCandleBlock(part)
		rows := block.rows()
		inserted := db.observeInsert(rows)
		err := db.insertColumns(ctx, insertCandlesSQL, block.columns())
		block.free()
		inserted(err)
		if err != nil {
			return db.Failed(fmt.Sprintf("insert %d candles of %s", rows, subject(part)), err)
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

// insertAudit writes quarantine and outcome rows of chunks whose candles are stored, and reports for each whether its
// outcome is. Both are tried whatever becomes of the other.
func (db *DB) insertAudit(ctx context.Context, writes []backfill.ChunkWrite) (recorded []bool) {
	db.eachUnrecorded(ctx, "quarantine", writes, db.insertRejected)
	missing := db.eachUnrecorded(ctx, "outcome row", writes, db.insertOutcomes)
	recorded = make([]bool, len(writes))
	for i, err := range missing {
		recorded[i] = err == nil
	}
	return recorded
}

// eachUnrecorded inserts what the chunks leave beside their candles and warns about those whose part is missing.
func (db *DB) eachUnrecorded(ctx context.Context, part string, writes []backfill.ChunkWrite, insert func(context.Context, []backfill.ChunkWrite) error) []error {
	errs := db.insertEach(writes, func(some []backfill.ChunkWrite) error { return insert(ctx, some) })
	for i, err := range errs {
		if err != nil {
			db.warnUnrecorded(ctx, part, writes[i], err)
		}
	}
	return errs
}

func (db *DB) insertOutcomes(ctx context.Context, writes []backfill.ChunkWrite) error {
	outcomes := make([]backfill.TaskRow, len(writes))
	for i, w := range writes {
		outcomes[i] = newOutcomeRow(w.Run, w.Outcome)
	}
	return insertStructs(ctx, db, insertOutcomesSQL, outcomes)
}

func (db *DB) warnUnrecorded(ctx context.Context, missing string, w backfill.ChunkWrite, err error) {
	db.log.WarnContext(ctx, "candles stored, audit trail incomplete for now", "missing", missing, "run_id", w.Run.ID(), "chunk_id", w.Chunk.ID, "token", w.Chunk.Token, "err", db.explain(err))
}

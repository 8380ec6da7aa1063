package clickhouse

import (
	"context"
	"fmt"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Success returns the outcome of a chunk that ended in success in this attempt, if the history has it.
func (db *DB) Success(ctx context.Context, task backfill.Task) (backfill.Outcome, bool, error) {
	rows, err := selectStructs[backfill.TaskRow](ctx, db, successSQL,
		named("run_id", task.RunID), named("attempt", task.Attempt), named("chunk_id", string(task.ChunkID)))
	if err != nil {
		return backfill.Outcome{}, false, db.Failed(fmt.Sprintf("look up chunk %s of run %s", task.ChunkID, task.RunID), err)
	}
	if len(rows) == 0 {
		return backfill.Outcome{}, false, nil
	}
	return *rows[0].Outcome(), true, nil
}

// PlannedCount returns how many chunks of the attempt have a planned row or an outcome.
func (db *DB) PlannedCount(ctx context.Context, runID uuid.UUID, attempt int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var count uint64
	err := db.conn.QueryRow(ctx, plannedCountSQL, named("run_id", runID), named("attempt", attempt)).Scan(&count)
	return int(count), db.Failed(fmt.Sprintf("count the plan of run %s", runID), err)
}

// SuccessesBefore calls yield with the chunks' successes in attempts before this one, each chunk once, in batches of up
// to 1,000. It holds one batch in memory.
func (db *DB) SuccessesBefore(ctx context.Context, runID uuid.UUID, attempt int, yield func([]backfill.Outcome) error) error {
	return streamRows(ctx, db, fmt.Sprintf("read the successes of run %s", runID), successesBeforeSQL,
		[]any{named("run_id", runID), named("attempt", attempt)},
		func(row *backfill.TaskRow) backfill.Outcome { return *row.Outcome() }, yield)
}

// Unsuccessful calls yield with the chunks of the run that no attempt filled, in batches of up to 1,000, and returns how
// many chunks the run has on record.
func (db *DB) Unsuccessful(ctx context.Context, runID uuid.UUID, yield func([]backfill.Chunk) error) (total int, err error) {
	countCtx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var count uint64
	if err := db.conn.QueryRow(countCtx, chunkCountSQL, named("run_id", runID)).Scan(&count); err != nil {
		return 0, db.Failed(fmt.Sprintf("count the chunks of run %s", runID), err)
	}
	return int(count), streamRows(ctx, db, fmt.Sprintf("read the chunks of run %s", runID), unsuccessfulSQL,
		[]any{named("run_id", runID)}, (*backfill.TaskRow).Chunk, yield)
}

// attemptChunksPerBatch: large enough that a pipeline to Redis pays, small enough to stay in the cache.
const attemptChunksPerBatch = 1000

// AttemptChunks calls yield for the chunks of the attempt in batches of up to 1,000, in the order of their ids. It holds
// one batch in memory. The slice belongs to yield; an error of yield ends the reading and is returned as it is.
func (db *DB) AttemptChunks(ctx context.Context, runID uuid.UUID, attempt int, yield func([]backfill.HistoryChunk) error) error {
	return streamRows(ctx, db, fmt.Sprintf("read the chunks of run %s", runID), attemptChunksSQL,
		[]any{named("run_id", runID), named("attempt", attempt)},
		func(row *backfill.TaskRow) backfill.HistoryChunk {
			return backfill.HistoryChunk{Chunk: row.Chunk(), Outcome: row.Outcome()}
		}, yield)
}

// streamRows calls yield for what convert makes of each row, in batches. An error of yield ends the reading and is
// returned as it is.
func streamRows[T any](ctx context.Context, db *DB, did, query string, args []any, convert func(*backfill.TaskRow) T, yield func([]T) error) error {
	var yieldErr error
	batches := batcher[T]{size: attemptChunksPerBatch, yield: yield}
	err := db.Each(ctx, streamTimeout, query, args, func(rows chdriver.Rows) error {
		var row backfill.TaskRow
		if err := rows.ScanStruct(&row); err != nil {
			return err
		}
		yieldErr = batches.add(convert(&row))
		return yieldErr
	})
	if yieldErr != nil {
		return yieldErr
	}
	if err != nil {
		return db.Failed(did, err)
	}
	return batches.flush()
}

// batcher gathers values and hands them on in slices.
type batcher[T any] struct {
	size  int
	yield func([]T) error
	batch []T
}

func (b *batcher[T]) add(value T) error {
	if b.batch == nil {
		b.batch = make([]T, 0, b.size)
	}
	b.batch = append(b.batch, value)
	if len(b.batch) < b.size {
		return nil
	}
	return b.flush()
}

// flush hands on what is left; yield may keep the slice.
func (b *batcher[T]) flush() error {
	batch := b.batch
	b.batch = nil
	if len(batch) == 0 {
		return nil
	}
	return b.yield(batch)
}

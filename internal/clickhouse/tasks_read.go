package clickhouse

import (
	"context"
	"fmt"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// Success returns the outcome of a chunk that ended in success in this attempt, if the history has it.
func (db *DB) Success(ctx context.Context, task backfill.Task) (backfill.Outcome, bool, error) {
	rows, err := selectStructs[taskRow](ctx, db, successSQL,
		named("run_id", task.RunID), named("attempt", task.Attempt), named("chunk_id", string(task.ChunkID)))
	if err != nil {
		return backfill.Outcome{}, false, db.storeError(fmt.Sprintf("look up chunk %s of run %s", task.ChunkID, task.RunID), err)
	}
	if len(rows) == 0 {
		return backfill.Outcome{}, false, nil
	}
	return *rows[0].outcome(), true, nil
}

// PlannedCount returns how many chunks of the attempt have a planned row or an outcome.
func (db *DB) PlannedCount(ctx context.Context, runID uuid.UUID, attempt int) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var count uint64
	err := db.conn.QueryRow(ctx, plannedCountSQL, named("run_id", runID), named("attempt", attempt)).Scan(&count)
	return int(count), db.storeError(fmt.Sprintf("count the plan of run %s", runID), err)
}

// SuccessesBefore calls yield with the chunks' successes in attempts before this one, each chunk once, in batches of up
// to 1,000. It holds one batch in memory.
func (db *DB) SuccessesBefore(ctx context.Context, runID uuid.UUID, attempt int, yield func([]backfill.Outcome) error) error {
	return streamRows(ctx, db, fmt.Sprintf("read the successes of run %s", runID), successesBeforeSQL,
		[]any{named("run_id", runID), named("attempt", attempt)},
		func(row *taskRow) backfill.Outcome { return *row.outcome() }, yield)
}

// Unsuccessful calls yield with the chunks of the run that no attempt filled, in batches of up to 1,000, and returns how
// many chunks the run has on record.
func (db *DB) Unsuccessful(ctx context.Context, runID uuid.UUID, yield func([]backfill.Chunk) error) (total int, err error) {
	countCtx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var count uint64
	if err := db.conn.QueryRow(countCtx, chunkCountSQL, named("run_id", runID)).Scan(&count); err != nil {
		return 0, db.storeError(fmt.Sprintf("count the chunks of run %s", runID), err)
	}
	return int(count), streamRows(ctx, db, fmt.Sprintf("read the chunks of run %s", runID), unsuccessfulSQL,
		[]any{named("run_id", runID)}, (*taskRow).chunk, yield)
}

// attemptChunksPerBatch: large enough that a pipeline to Redis pays, small enough to stay in the cache.
const attemptChunksPerBatch = 1000

// AttemptChunks calls yield for the chunks of the attempt in batches of up to 1,000, in the order of their ids. It holds
// one batch in memory. The slice belongs to yield; an error of yield ends the reading and is returned as it is.
func (db *DB) AttemptChunks(ctx context.Context, runID uuid.UUID, attempt int, yield func([]backfill.HistoryChunk) error) error {
	return streamRows(ctx, db, fmt.Sprintf("read the chunks of run %s", runID), attemptChunksSQL,
		[]any{named("run_id", runID), named("attempt", attempt)},
		func(row *taskRow) backfill.HistoryChunk {
			return backfill.HistoryChunk{Chunk: row.chunk(), Outcome: row.outcome()}
		}, yield)
}

// streamRows calls yield for what convert makes of each row, in batches. An error of yield ends the reading and is
// returned as it is.
func streamRows[T any](ctx context.Context, db *DB, did, query string, args []any, convert func(*taskRow) T, yield func([]T) error) error {
	var yieldErr error
	batches := batcher[T]{size: attemptChunksPerBatch, yield: yield}
	err := db.rows(ctx, streamTimeout, query, args, func(rows chdriver.Rows) error {
		var row taskRow
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
		return db.storeError(did, err)
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

// TaskFilter narrows Tasks; its zero value wants everything.
type TaskFilter struct {
	// Statuses are planned, success, failed or cancelled.
	Statuses []string
}

// TaskDetails is a chunk of a run with what it ended as in its latest attempt, as people read it.
type TaskDetails struct {
	Attempt int               `json:"attempt"`
	Status  string            `json:"status"` // planned, success, failed or cancelled
	Chunk   backfill.Chunk    `json:"chunk"`
	Outcome *backfill.Outcome `json:"outcome,omitempty"` // nil while planned
}

// Tasks returns up to limit chunks of the run, each with its latest attempt, by token and time.
func (db *DB) Tasks(ctx context.Context, runID uuid.UUID, filter TaskFilter, limit int) ([]TaskDetails, error) {
	statuses := filter.Statuses
	if statuses == nil {
		statuses = []string{}
	}
	rows, err := selectStructs[taskRow](ctx, db, tasksSQL,
		named("run_id", runID), named("statuses", statuses), named("limit", limit))
	if err != nil {
		return nil, db.storeError(fmt.Sprintf("read the tasks of run %s", runID), err)
	}
	return tasksOf(rows), nil
}

func tasksOf(rows []taskRow) []TaskDetails {
	tasks := make([]TaskDetails, len(rows))
	for i := range rows {
		tasks[i] = TaskDetails{Attempt: int(rows[i].Attempt), Status: rows[i].Status, Chunk: rows[i].chunk(), Outcome: rows[i].outcome()}
	}
	return tasks
}

// FailedGroup is the failed chunks of a run that share an error text.
type FailedGroup struct {
	Error      string         `json:"error"`
	ErrorClass backfill.Class `json:"error_class"`
	Chunks     int            `json:"chunks"`
	Tokens     int            `json:"tokens"`
	// Samples are up to five of the chunks.
	Samples []FailedSample `json:"samples"`
}

// FailedSample names one failed chunk.
type FailedSample struct {
	ChunkID backfill.ChunkID `json:"chunk_id"`
	Token   candle.Token     `json:"token"`
	Range   candle.Range     `json:"range"`
}

// FailedChunks groups the chunks of the run whose latest attempt failed by their error text, largest group first, at
// most 100 groups.
func (db *DB) FailedChunks(ctx context.Context, runID uuid.UUID) ([]FailedGroup, error) {
	groups := []FailedGroup{}
	err := db.rows(ctx, queryTimeout, failedChunksSQL, []any{named("run_id", runID)}, func(rows chdriver.Rows) error {
		group, err := scanFailedGroup(rows)
		groups = append(groups, group)
		return err
	})
	return groups, db.storeError(fmt.Sprintf("read the failed chunks of run %s", runID), err)
}

func scanFailedGroup(rows chdriver.Rows) (FailedGroup, error) {
	var group FailedGroup
	var class string
	var chunks, tokens uint64
	var samples [][]any // chain, address, from, to, chunk id
	if err := rows.Scan(&group.Error, &class, &chunks, &tokens, &samples); err != nil {
		return group, err
	}
	group.ErrorClass = backfill.Class(class)
	group.Chunks, group.Tokens = int(chunks), int(tokens)
	for _, s := range samples {
		group.Samples = append(group.Samples, FailedSample{
			ChunkID: backfill.ChunkID(s[4].(string)),
			Token:   candle.Token{Chain: candle.Chain(s[0].(string)), Address: s[1].(string)},
			Range:   candle.Range{From: s[2].(time.Time).Unix(), To: s[3].(time.Time).Unix()},
		})
	}
	return group, nil
}

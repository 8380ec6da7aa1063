package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// insert sends what fill puts into the batch as one block.
func (db *DB) insert(ctx context.Context, query string, fill func(chdriver.Batch) error) error {
	ctx, settle := insertContext(ctx, insertTimeout)
	defer settle()
	err := db.sendBatch(ctx, query, fill)
	if err != nil && ctx.Err() != nil {
		// The driver says "canceled" for our timeout as well, which would pass for a caller that gave up.
		return fmt.Errorf("%w: %v", context.Cause(ctx), err) //nolint:errorlint // only the cause may be found in the chain
	}
	return err
}

func (db *DB) sendBatch(ctx context.Context, query string, fill func(chdriver.Batch) error) error {
	batch, err := db.conn.PrepareBatch(ctx, query)
	if err != nil {
		return err
	}
	defer batch.Close() // gives the connection back when nothing was sent
	if err := fill(batch); err != nil {
		return err
	}
	return batch.Send()
}

// insertContext ends with its parent or after the timeout, until settle is called; from then on it never ends.
//
// The driver closes a batch's connection when the context ends, and it may notice the end of a context after Send has
// put that connection back into the pool (clickhouse-go pull request 2032): the usual deferred cancel then kills
// whichever query got the connection next. It happened every few hundred inserts.
func insertContext(parent context.Context, timeout time.Duration) (ctx context.Context, settle func()) {
	ctx, end := context.WithCancelCause(context.WithoutCancel(parent))
	timer := time.AfterFunc(timeout, func() { end(context.DeadlineExceeded) })
	stop := context.AfterFunc(parent, func() { end(context.Cause(parent)) })
	return ctx, func() {
		timer.Stop()
		stop()
	}
}

// insertStructs inserts one row per struct with ch tags; $columns in the statement are these tags.
func insertStructs[T any](ctx context.Context, db *DB, query string, values []T) error {
	if len(values) == 0 {
		return nil
	}
	return db.insert(ctx, withColumns[T](query), func(batch chdriver.Batch) error {
		for i := range values {
			if err := batch.AppendStruct(&values[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// insertColumns inserts whole columns, given in the order of the statement's list: several times faster than rows.
func (db *DB) insertColumns(ctx context.Context, query string, columns []columnValues) error {
	return db.insert(ctx, query, func(batch chdriver.Batch) error {
		for i, values := range columns {
			if err := values.appendTo(batch.Column(i)); err != nil {
				return fmt.Errorf("column %d: %w", i+1, err)
			}
		}
		return nil
	})
}

// columnValues are the values of one column of an insert.
type columnValues interface {
	appendTo(column chdriver.BatchColumn) error
}

// slice holds a value per row.
type slice[T any] []T

func (s *slice[T]) reset(rows int) { *s = slices.Grow((*s)[:0], rows) }

func (s slice[T]) appendTo(column chdriver.BatchColumn) error { return column.Append([]T(s)) }

// repeated holds values that stay the same over many rows. The driver's LowCardinality column takes rows one by one; the
// value is boxed once instead of once per row.
type repeated []repeat

type repeat struct {
	value any
	rows  int
}

func (r *repeated) add(value any, rows int) {
	if last := len(*r) - 1; last >= 0 && (*r)[last].value == value {
		(*r)[last].rows += rows
		return
	}
	*r = append(*r, repeat{value, rows})
}

func (r repeated) appendTo(column chdriver.BatchColumn) error {
	for _, part := range r {
		for range part.rows {
			if err := column.AppendRow(part.value); err != nil {
				return err
			}
		}
	}
	return nil
}

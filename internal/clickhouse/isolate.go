package clickhouse

import (
	"context"
	"errors"

	driver "github.com/ClickHouse/clickhouse-go/v2"

	"quantbot/internal/backfill"
)

// insertEach inserts the chunks together and, when that fails, each alone, so that a chunk that cannot be stored fails no
// other. The answer has an error or nil for each. A server that is away is no chunk's fault: when two in turn do not reach
// it, the rest is not tried.
func (db *DB) insertEach(writes []backfill.ChunkWrite, insert func([]backfill.ChunkWrite) error) []error {
	errs := make([]error, len(writes))
	if len(writes) == 0 {
		return errs
	}
	together := insert(writes)
	if together == nil {
		return errs
	}
	if len(writes) == 1 {
		errs[0] = together
		return errs
	}
	unreached := 0
	for i := range writes {
		if unreached == 2 {
			errs[i] = errs[i-1]
			continue
		}
		errs[i] = insert(writes[i : i+1])
		if db.away(errs[i]) {
			unreached++
		} else {
			unreached = 0
		}
	}
	return errs
}

// away reports whether the error says nothing about what was inserted: the server was not reached, or did not answer.
func (db *DB) away(err error) bool {
	return db.unreachable(err) || errors.Is(err, driver.ErrAcquireConnTimeout) ||
		errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

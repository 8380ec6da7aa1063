package clickhouse

import (
	"context"
	"errors"

	"quantbot/internal/backfill"
)

// insertEach inserts the chunks together and, when that fails, each alone, so that a chunk that cannot be stored fails no
// other. The answer has an error or nil for each. A server that is away, or refuses for what it is itself, is no chunk's
// fault: when two in turn meet that, the rest is not tried.
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
	refused := 0
	for i := range writes {
		if refused == 2 {
			errs[i] = errs[i-1]
			continue
		}
		errs[i] = insert(writes[i : i+1])
		if db.away(errs[i]) {
			refused++
		} else {
			refused = 0
		}
	}
	return errs
}

// away reports whether the error says nothing about what was inserted: the server was not reached, did not answer, or
// refuses everybody. Memory is not among the reasons: a smaller insert may pass.
func (db *DB) away(err error) bool {
	if err == nil {
		return false
	}
	switch db.waitReason(err) {
	case backfill.WaitMemory, backfill.WaitOther:
		return errors.Is(err, context.Canceled)
	}
	return true
}

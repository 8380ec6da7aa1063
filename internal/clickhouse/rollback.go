package clickhouse

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// PreviewRollback says what rolling the run back would do now. It streams the run's tokens in key order: the server holds
// one candle in memory at a time.
func (db *DB) PreviewRollback(ctx context.Context, runID uuid.UUID) (p backfill.RollbackPreview, err error) {
	run, err := db.RunDetails(ctx, runID)
	if err != nil {
		return p, err
	}
	p.RunID, p.Status, p.FallBacks = runID, run.Status, []backfill.FallBack{}
	record, err := run.Record()
	if err != nil {
		return p, err
	}
	interval := named("interval", uint32(record.Manifest.Interval))
	if p.Versions, err = queryCount(ctx, db, versionsOfRunSQL, named("run_id", runID), interval); err != nil {
		return p, db.Failed("count the versions of run "+runID.String(), err)
	}
	type change struct {
		RunID   uuid.UUID `ch:"run_id"`
		Candles int64     `ch:"candles"`
	}
	changes, err := selectLong[change](ctx, db, rollbackPreviewSQL, named("run_id", runID), interval,
		named("from", run.RangeFrom.Unix()), named("to", run.RangeTo.Unix()))
	if err != nil {
		return p, db.Failed("preview the rollback of run "+runID.String(), err)
	}
	for _, c := range changes {
		p.Disappearing -= c.Candles // what the run loses and no other run gains
		if c.RunID != runID {
			p.FallBacks = append(p.FallBacks, backfill.FallBack(c))
		}
	}
	if p.Removed, err = db.removedFor(ctx, runID); err != nil {
		return p, err
	}
	p.Dependents, err = db.dependentsOf(ctx, runID)
	return p, err
}

func (db *DB) removedFor(ctx context.Context, runID uuid.UUID) ([]backfill.RemovedMonth, error) {
	removed, err := selectStructs[backfill.RemovedMonth](ctx, db, removedForSQL, named("run_id", runID))
	return removed, db.Failed("look up what was removed for run "+runID.String(), err)
}

// RollBack hides the run from readers, at once and atomically. It returns a *backfill.RefusedError where the state of the run
// forbids that; force overrides backfill.RefusedUndo. The caller holds the maintenance lock; without it two events of one run might
// share a number.
//
// The event is written first and what was removed is looked up after it: a sweep writes down what it is about to remove
// first and looks for rolled-back runs after that, so one of the two always sees the other.
func (db *DB) RollBack(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest, force bool) error {
	last, err := db.hideable(ctx, runID)
	if err != nil {
		return err
	}
	if err := db.undoable(ctx, runID, force); err != nil {
		return err
	}
	if err := db.insertVisibility(ctx, runID, last.Sequence+1, eventRolledBack, request); err != nil {
		return err
	}
	if err := db.undoable(ctx, runID, force); err != nil {
		request.Reason = "a sweep had removed what the rollback would have needed"
		return errors.Join(err, db.insertVisibility(ctx, runID, last.Sequence+2, eventRestored, request))
	}
	return nil
}

// MayRollBack returns a *backfill.RefusedError where the status of the run forbids a rollback now.
func (db *DB) MayRollBack(ctx context.Context, runID uuid.UUID) error {
	_, err := db.hideable(ctx, runID)
	return err
}

// hideable returns the last event of a run that may be hidden.
func (db *DB) hideable(ctx context.Context, runID uuid.UUID) (last visibility, err error) {
	run, err := db.RunDetails(ctx, runID)
	if err != nil {
		return last, err
	}
	if run.Status == string(backfill.StatusRunning) {
		return last, refused(runID, backfill.RefusedRunning)
	}
	if last, err = db.lastVisibility(ctx, runID); err != nil {
		return last, err
	}
	return last, last.hides(runID)
}

func (db *DB) undoable(ctx context.Context, runID uuid.UUID, force bool) error {
	removed, err := db.removedFor(ctx, runID)
	if err != nil || len(removed) == 0 || force {
		return err
	}
	return &backfill.RefusedError{Reason: backfill.RefusedUndo, RunID: runID, Removed: removed}
}

// Restore shows a rolled-back run to readers again. It returns a
// *backfill.RefusedError where it is not hidden, or is being purged. The caller holds the
// maintenance lock.
func (db *DB) Restore(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest) error {
	if _, err := db.RunDetails(ctx, runID); err != nil {
		return err
	}
	last, err := db.lastVisibility(ctx, runID)
	if err != nil {
		return err
	}
	switch last.Event {
	case eventRolledBack:
		return db.insertVisibility(ctx, runID, last.Sequence+1, eventRestored, request)
	case eventPurging:
		return refused(runID, backfill.RefusedPurging)
	}
	return refused(runID, backfill.RefusedNotRolledBack)
}

func refused(runID uuid.UUID, reason backfill.RefusalReason) error {
	return &backfill.RefusedError{Reason: reason, RunID: runID}
}

// The events of a run's visibility.
const (
	eventRestored   = "restored"
	eventRolledBack = "rolled_back"
	eventPurging    = "purging"
)

type visibility struct {
	Sequence uint64 `ch:"last"`
	Event    string `ch:"last_event"` // empty when there never was one
}

// hides returns why a run that is hidden cannot be hidden again.
func (v visibility) hides(runID uuid.UUID) error {
	switch v.Event {
	case eventRolledBack:
		return refused(runID, backfill.RefusedRolledBack)
	case eventPurging:
		return refused(runID, backfill.RefusedPurging)
	}
	return nil
}

func (db *DB) lastVisibility(ctx context.Context, runID uuid.UUID) (visibility, error) {
	rows, err := selectStructs[visibility](ctx, db, lastVisibilitySQL, named("run_id", runID))
	if err != nil || len(rows) != 1 {
		return visibility{}, db.Failed("look up the visibility of run "+runID.String(), err)
	}
	return rows[0], nil
}

type visibilityRow struct {
	RunID       uuid.UUID `ch:"run_id"`
	Sequence    uint64    `ch:"sequence"`
	Event       string    `ch:"event"`
	RequestedBy string    `ch:"requested_by"`
	Reason      string    `ch:"reason"`
}

func (db *DB) insertVisibility(ctx context.Context, runID uuid.UUID, sequence uint64, event string, request backfill.UndoRequest) error {
	row := visibilityRow{RunID: runID, Sequence: sequence, Event: event, RequestedBy: request.By, Reason: request.Reason}
	err := insertStructs(ctx, db, insertVisibilitySQL, []visibilityRow{row})
	return db.Failed(fmt.Sprintf("write that run %s is %s", runID, event), err)
}

// queryCount reads one number.
func queryCount(ctx context.Context, db *DB, query string, params ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	var count uint64
	err := db.conn.QueryRow(ctx, query, params...).Scan(&count)
	return int64(count), err
}

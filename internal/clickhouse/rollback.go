package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// RollbackPreview says what a rollback would do.
type RollbackPreview struct {
	RunID  uuid.UUID `json:"run_id"`
	Status string    `json:"status"`
	// Versions leave the readers' sight, whether they are served now or not.
	Versions int64 `json:"versions_leaving"`
	// Disappearing candles have no other version.
	Disappearing int64 `json:"candles_disappearing"`
	// FallBacks are the candles that other runs would serve instead, most first.
	FallBacks []FallBack `json:"candles_falling_back"`
	// Removed is what sweeps removed, or other runs skipped, because this run's versions were as good.
	Removed []RemovedMonth `json:"versions_removed"`
	// Relying are the runs that left ranges out because this run had answered for them.
	Relying []Dependency `json:"runs_relying"`
}

// FallBack is how many candles another run would serve.
type FallBack struct {
	RunID   uuid.UUID `json:"run_id"`
	Candles int64     `json:"candles"`
}

// RemovedMonth is how many versions of a month (YYYYMM) are gone for good.
type RemovedMonth struct {
	Month    uint32 `json:"month" ch:"month"`
	Versions int64  `json:"versions" ch:"versions"`
}

// The reasons why a run cannot be rolled back or restored.
var (
	ErrRunning       = errors.New("the run is still running: cancel it first with runs-cancel")
	ErrRolledBack    = errors.New("the run is rolled back already")
	ErrNotRolledBack = errors.New("the run is not rolled back")
	ErrPurging       = errors.New("the run's candles have been purged, or are being purged: it cannot be restored; fetch them again")
)

// UndoImpossibleError tells that a rollback would need versions that are gone.
type UndoImpossibleError struct{ Removed []RemovedMonth }

// Error lists the months.
func (e *UndoImpossibleError) Error() string {
	months := make([]string, len(e.Removed))
	for i, m := range e.Removed {
		months[i] = fmt.Sprintf("%d of %d-%02d", m.Versions, m.Month/100, m.Month%100)
	}
	return fmt.Sprintf("versions that the undo would need have been removed (%s); --force rolls back all the same and leaves gaps there",
		strings.Join(months, ", "))
}

// PreviewRollback says what rolling the run back would do now. It streams the run's tokens in key order: the server holds
// one candle in memory at a time.
func (db *DB) PreviewRollback(ctx context.Context, runID uuid.UUID) (p RollbackPreview, err error) {
	run, err := db.RunDetails(ctx, runID)
	if err != nil {
		return p, err
	}
	p.RunID, p.Status, p.FallBacks = runID, run.Status, []FallBack{}
	record, err := run.Record()
	if err != nil {
		return p, err
	}
	interval := named("interval", uint32(record.Manifest.Interval))
	if p.Versions, err = queryCount(ctx, db, versionsOfRunSQL, named("run_id", runID), interval); err != nil {
		return p, db.storeError("count the versions of run "+runID.String(), err)
	}
	type change struct {
		RunID   uuid.UUID `ch:"run_id"`
		Candles int64     `ch:"candles"`
	}
	changes, err := selectLong[change](ctx, db, rollbackPreviewSQL, named("run_id", runID), interval,
		named("from", run.RangeFrom.Unix()), named("to", run.RangeTo.Unix()))
	if err != nil {
		return p, db.storeError("preview the rollback of run "+runID.String(), err)
	}
	for _, c := range changes {
		p.Disappearing -= c.Candles // what the run loses and no other run gains
		if c.RunID != runID {
			p.FallBacks = append(p.FallBacks, FallBack(c))
		}
	}
	if p.Removed, err = db.removedFor(ctx, runID); err != nil {
		return p, err
	}
	p.Relying, err = db.relyingOn(ctx, runID)
	return p, err
}

func (db *DB) removedFor(ctx context.Context, runID uuid.UUID) ([]RemovedMonth, error) {
	removed, err := selectStructs[RemovedMonth](ctx, db, removedForSQL, named("run_id", runID))
	return removed, db.storeError("look up what was removed for run "+runID.String(), err)
}

// Request says who wants a run hidden or shown, and why.
type Request struct{ By, Reason string }

// RollBack hides the run from readers, at once and atomically. It answers ErrRunning, ErrRolledBack, ErrPurging, or an
// *UndoImpossibleError unless force. The caller holds the maintenance lock; without it two events of one run might share
// a number.
//
// The event is written first and what was removed is looked up after it: a sweep writes down what it is about to remove
// first and looks for rolled-back runs after that, so one of the two always sees the other.
func (db *DB) RollBack(ctx context.Context, runID uuid.UUID, request Request, force bool) error {
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

// MayRollBack answers ErrRunning, ErrRolledBack or ErrPurging where the state of the run forbids a rollback now.
func (db *DB) MayRollBack(ctx context.Context, runID uuid.UUID) error {
	_, err := db.hideable(ctx, runID)
	return err
}

// hideable answers the last event of a run that may be hidden.
func (db *DB) hideable(ctx context.Context, runID uuid.UUID) (last visibility, err error) {
	run, err := db.RunDetails(ctx, runID)
	if err != nil {
		return last, err
	}
	if run.Status == string(backfill.StatusRunning) {
		return last, ErrRunning
	}
	if last, err = db.lastVisibility(ctx, runID); err != nil {
		return last, err
	}
	return last, last.hides()
}

func (db *DB) undoable(ctx context.Context, runID uuid.UUID, force bool) error {
	removed, err := db.removedFor(ctx, runID)
	if err != nil || len(removed) == 0 || force {
		return err
	}
	return &UndoImpossibleError{Removed: removed}
}

// Restore shows a rolled-back run to readers again. It answers ErrNotRolledBack or ErrPurging. The caller holds the
// maintenance lock.
func (db *DB) Restore(ctx context.Context, runID uuid.UUID, request Request) error {
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
		return ErrPurging
	}
	return ErrNotRolledBack
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

// hides answers why a run that is hidden cannot be hidden again.
func (v visibility) hides() error {
	switch v.Event {
	case eventRolledBack:
		return ErrRolledBack
	case eventPurging:
		return ErrPurging
	}
	return nil
}

func (db *DB) lastVisibility(ctx context.Context, runID uuid.UUID) (visibility, error) {
	rows, err := selectStructs[visibility](ctx, db, lastVisibilitySQL, named("run_id", runID))
	if err != nil || len(rows) != 1 {
		return visibility{}, db.storeError("look up the visibility of run "+runID.String(), err)
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

func (db *DB) insertVisibility(ctx context.Context, runID uuid.UUID, sequence uint64, event string, request Request) error {
	row := visibilityRow{RunID: runID, Sequence: sequence, Event: event, RequestedBy: request.By, Reason: request.Reason}
	err := insertStructs(ctx, db, insertVisibilitySQL, []visibilityRow{row})
	return db.storeError(fmt.Sprintf("write that run %s is %s", runID, event), err)
}

// queryCount reads one number.
func queryCount(ctx context.Context, db *DB, query string, params ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, streamTimeout)
	defer cancel()
	var count uint64
	err := db.conn.QueryRow(ctx, query, params...).Scan(&count)
	return int64(count), err
}

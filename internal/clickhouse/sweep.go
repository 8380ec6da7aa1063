package clickhouse

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// sliceVersions bounds a slice: the keys that it removes are a set in the server's memory, of about 120 bytes each.
const sliceVersions = 1_000_000

// slice is a range of tokens of one month and interval.
type sweepSlice struct {
	month    uint32
	interval uint32
	from, to candle.Token
	versions int64
}

// Sweep removes the redundant versions, slice by slice in bounded memory, and what rolled-back runs left once their time
// for being restored is over. It is safe beside inserts, and can be broken off and begun again at any time. The result
// lists every month that it looked at.
func (db *DB) Sweep(ctx context.Context, s backfill.SweepRequest) ([]backfill.SweptMonth, error) {
	if s.Locked == nil {
		s.Locked = func(ctx context.Context, step func(context.Context) error) error { return step(ctx) }
	}
	result := sweepResult{months: []backfill.SweptMonth{}}
	err := db.purge(ctx, s, &result)
	if err == nil {
		err = db.sweepSlices(ctx, s, &result)
	}
	slices.SortFunc(result.months, func(a, b backfill.SweptMonth) int {
		return cmp.Or(cmp.Compare(a.Month, b.Month), strings.Compare(a.Interval, b.Interval))
	})
	return result.months, err
}

func (db *DB) sweepSlices(ctx context.Context, s backfill.SweepRequest, result *sweepResult) error {
	slices, err := db.sweepPlan(ctx, s.Intervals)
	if err != nil {
		return err
	}
	for i, slice := range slices {
		month := result.of(slice.month, slice.interval)
		month.Versions += slice.versions
		err := s.Locked(ctx, func(ctx context.Context) error {
			removed, err := db.sweepSlice(ctx, s, slice)
			if errors.Is(err, errHidden) { // its versions make nothing redundant any more
				removed, err = db.sweepSlice(ctx, s, slice)
			}
			month.Redundant += removed
			result.removed += removed
			return err
		})
		if err != nil {
			return fmt.Errorf("sweep %d %s: %w", slice.month, candle.Interval(slice.interval), err)
		}
		if s.OnSlice != nil {
			s.OnSlice(backfill.SweepProgress{Done: i + 1, Slices: len(slices), Removed: result.removed})
		}
	}
	return nil
}

// sweepPlan cuts the versions into slices along the key.
func (db *DB) sweepPlan(ctx context.Context, intervals []candle.Interval) ([]sweepSlice, error) {
	type tokenRow struct {
		Month    uint32 `ch:"month"`
		Interval uint32 `ch:"interval_seconds"`
		Chain    string `ch:"chain"`
		Token    string `ch:"token_address"`
		Versions uint64 `ch:"versions"`
	}
	seconds := make([]uint32, len(intervals))
	for i, interval := range intervals {
		seconds[i] = uint32(interval)
	}
	rows, err := selectLong[tokenRow](ctx, db, sweepSlicesSQL, named("intervals", seconds))
	if err != nil {
		return nil, db.Failed("plan the sweep", err)
	}
	var slices []sweepSlice
	for _, row := range rows {
		token := candle.Token{Chain: candle.Chain(row.Chain), Address: row.Token}
		last := len(slices) - 1
		if last < 0 || slices[last].month != row.Month || slices[last].interval != row.Interval ||
			slices[last].versions+int64(row.Versions) > sliceVersions {
			slices = append(slices, sweepSlice{month: row.Month, interval: row.Interval, from: token})
			last++
		}
		slices[last].to = token
		slices[last].versions += int64(row.Versions)
	}
	return slices, nil
}

// The operations in the record of what was removed.
const (
	operationSweep  = "sweep"
	operationPurge  = "purge"
	operationInline = "inline"
)

// errHidden means that a run was rolled back while versions were about to be removed for its sake.
var errHidden = errors.New("a run was rolled back meanwhile")

// sweepSlice finds, writes down, looks again and removes, in this order: a rollback writes first and looks at what is
// written down after that, so one of the two always sees the other. A death before the removal leaves a record that is
// too high, which makes a rollback refuse rather than leave a gap.
func (db *DB) sweepSlice(ctx context.Context, s backfill.SweepRequest, slice sweepSlice) (int64, error) {
	id := uuid.New()
	err := db.exec(ctx, streamTimeout, findRedundantSQL,
		named("operation_id", id), named("ended", backfill.EndedStatusNames()), named("window", uint32(s.Window.Seconds())),
		named("month", slice.month), named("interval", slice.interval),
		named("from_chain", string(slice.from.Chain)), named("from_token", slice.from.Address),
		named("to_chain", string(slice.to.Chain)), named("to_token", slice.to.Address))
	if err != nil {
		return 0, db.Failed("find redundant versions", err)
	}
	record, removed, err := db.foundRedundant(ctx, id, slice, s.By)
	if err != nil || removed == 0 || s.DryRun {
		return removed, err
	}
	if err := insertStructs(ctx, db, insertMaintenanceSQL, record); err != nil {
		return 0, db.Failed("write down what is about to be removed", err)
	}
	hidden, err := queryCount(ctx, db, hiddenBeneficiariesSQL, named("operation_id", id))
	if err != nil {
		return 0, db.Failed("look again for rolled-back runs", err)
	}
	if hidden > 0 {
		for i := range record {
			record[i].Versions = 0 // replaces the row
		}
		return 0, errors.Join(errHidden, insertStructs(ctx, db, insertMaintenanceSQL, record))
	}
	err = db.exec(ctx, streamTimeout, deleteRedundantSQL, named("month", slice.month), named("operation_id", id))
	return removed, db.Failed("remove redundant versions", err)
}

// maintenanceRow is a row of ohlcv_maintenance.
type maintenanceRow struct {
	Beneficiary  uuid.UUID `ch:"beneficiary_run_id"`
	Removed      uuid.UUID `ch:"removed_run_id"`
	Month        uint32    `ch:"month"`
	Interval     uint32    `ch:"interval_seconds"`
	OperationID  uuid.UUID `ch:"operation_id"`
	Operation    string    `ch:"operation"`
	Versions     uint64    `ch:"versions_removed"`
	PerformedBy  string    `ch:"performed_by"`
	HarmlessFrom time.Time `ch:"harmless_from"`
}

func (db *DB) foundRedundant(ctx context.Context, id uuid.UUID, slice sweepSlice, by string) (record []maintenanceRow, total int64, err error) {
	type foundRow struct {
		Beneficiary  uuid.UUID `ch:"beneficiary_run_id"`
		Removed      uuid.UUID `ch:"removed_run_id"`
		Versions     uint64    `ch:"versions"`
		HarmlessFrom time.Time `ch:"harmless_from"`
	}
	found, err := selectLong[foundRow](ctx, db, countRedundantSQL, named("operation_id", id))
	if err != nil {
		return nil, 0, db.Failed("count redundant versions", err)
	}
	for _, f := range found {
		record = append(record, maintenanceRow{
			Beneficiary: f.Beneficiary, Removed: f.Removed, Month: slice.month, Interval: slice.interval, OperationID: id,
			Operation: operationSweep, Versions: f.Versions, PerformedBy: by, HarmlessFrom: f.HarmlessFrom,
		})
		total += int64(f.Versions)
	}
	return record, total, nil
}

// purge removes what runs left that were rolled back longer than the window ago. From the event on they cannot be
// restored.
func (db *DB) purge(ctx context.Context, s backfill.SweepRequest, result *sweepResult) error {
	type purgeable struct {
		RunID    uuid.UUID `ch:"run_id"`
		Event    string    `ch:"last_event"`
		Sequence uint64    `ch:"last"`
		HiddenAt time.Time `ch:"hidden_at"`
	}
	var runs []purgeable
	runs, err := selectStructs[purgeable](ctx, db, purgeableRunsSQL, named("window", uint32(s.Window.Seconds())))
	if err != nil {
		return db.Failed("list the runs to purge", err)
	}
	for _, run := range runs {
		err := s.Locked(ctx, func(ctx context.Context) error {
			if run.Event != eventPurging && !s.DryRun {
				now, err := db.lastVisibility(ctx, run.RunID)
				if err != nil || now.Event != eventRolledBack {
					return err // restored meanwhile
				}
				request := backfill.UndoRequest{By: s.By, Reason: "rolled back longer than the rollback window ago"}
				if err := db.insertVisibility(ctx, run.RunID, now.Sequence+1, eventPurging, request); err != nil {
					return err
				}
			}
			return db.purgeRun(ctx, s, run.RunID, run.HiddenAt, result)
		})
		if err != nil {
			return fmt.Errorf("purge run %s: %w", run.RunID, err)
		}
	}
	return nil
}

func (db *DB) purgeRun(ctx context.Context, s backfill.SweepRequest, runID uuid.UUID, hiddenAt time.Time, result *sweepResult) error {
	type monthRow struct {
		Month    uint32 `ch:"month"`
		Interval uint32 `ch:"interval_seconds"`
		Versions uint64 `ch:"versions"`
	}
	months, err := selectLong[monthRow](ctx, db, versionsByMonthSQL, named("run_id", runID))
	if err != nil {
		return db.Failed("count the versions to purge", err)
	}
	for _, m := range months {
		result.of(m.Month, m.Interval).Purged += int64(m.Versions)
		result.removed += int64(m.Versions)
		if s.DryRun {
			continue
		}
		record := maintenanceRow{
			Beneficiary: runID, Removed: runID, Month: m.Month, Interval: m.Interval, OperationID: uuid.New(),
			Operation: operationPurge, Versions: m.Versions, PerformedBy: s.By, HarmlessFrom: hiddenAt,
		}
		if err := insertStructs(ctx, db, insertMaintenanceSQL, []maintenanceRow{record}); err != nil {
			return db.Failed("write down what is about to be purged", err)
		}
		result.of(m.Month, m.Interval).Versions += int64(m.Versions) // the sweep will not see them
		err := db.exec(ctx, streamTimeout, deleteRunMonthSQL, named("month", m.Month), named("run_id", runID))
		if err != nil {
			return db.Failed("purge versions", err)
		}
	}
	return nil
}

// sweepResult gathers what was done per month and interval.
type sweepResult struct {
	months  []backfill.SweptMonth
	removed int64
}

func (r *sweepResult) of(month, interval uint32) *backfill.SweptMonth {
	name := candle.Interval(interval).String()
	for i := range r.months {
		if r.months[i].Month == month && r.months[i].Interval == name {
			return &r.months[i]
		}
	}
	r.months = append(r.months, backfill.SweptMonth{Month: month, Interval: name})
	return &r.months[len(r.months)-1]
}

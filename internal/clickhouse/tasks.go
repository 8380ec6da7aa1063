package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

const statusPlanned = "planned"

func newPlannedRow(run backfill.Run, chunk backfill.Chunk) backfill.TaskRow {
	return backfill.TaskRow{
		RunID:           run.ID(),
		Attempt:         uint32(run.Attempt),
		ChunkID:         string(chunk.ID),
		Chain:           string(chunk.Token.Chain),
		TokenAddress:    chunk.Token.Address,
		IntervalSeconds: uint32(chunk.Interval),
		RangeFrom:       storableTime(chunk.Range.From),
		RangeTo:         storableTime(chunk.Range.To),
		Status:          statusPlanned,
	}
}

// newOutcomeRow: an outcome knows its chunk but for the interval, which is the run's.
func newOutcomeRow(run backfill.Run, o backfill.Outcome) backfill.TaskRow {
	row := newPlannedRow(run, backfill.Chunk{ID: o.ChunkID, Token: o.Token, Interval: run.Manifest.Interval, Range: o.Range})
	row.Status = string(o.Status)
	row.Fetched = o.Stats.Fetched
	row.Inserted = o.Stats.Inserted
	row.Rejected = o.Stats.Rejected
	row.Deduplicated = o.Stats.Deduplicated
	row.Shadowed, row.Skipped = o.Stats.Split()
	row.ZeroVolume = o.Stats.ZeroVolume
	row.Dropped = o.Stats.Dropped
	row.APICalls = o.Stats.APICalls
	row.Credits = o.Stats.Credits
	row.ErrorMessage = o.Error
	row.ErrorClass = string(o.ErrorClass)
	row.Source = o.Source
	row.Files = make([]string, len(o.Files))
	for i, file := range o.Files {
		row.Files[i] = file.String()
	}
	row.Executions = uint32(o.Executions)
	row.Worker = o.Worker
	row.ScriptVersion = o.Version
	row.StartedAt = nullable(o.StartedAt)
	row.EndedAt = nullable(o.EndedAt)
	if o.AnsweredTo != 0 {
		to := storableTime(o.AnsweredTo)
		row.AnsweredTo = &to
	}
	return row
}

// nullable turns the zero time into NULL.
func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// plannedPerInsert bounds the memory of a large plan: a row takes about 0.4 kB while it is sent.
const plannedPerInsert = 50_000

// Planned writes a planned row for each chunk of the attempt. It never hides an outcome that is there already.
func (db *DB) Planned(ctx context.Context, run backfill.Run, chunks []backfill.Chunk) error {
	for part := range slices.Chunk(chunks, plannedPerInsert) {
		if err := db.insertColumns(ctx, insertPlannedSQL, plannedColumns(run, part)); err != nil {
			return db.Failed(fmt.Sprintf("write the plan of run %s", run.ID()), err)
		}
	}
	return nil
}

// plannedColumns are in the order of insert_planned.sql. A plan has up to a million rows, which are not worth a struct and
// its reflection each.
func plannedColumns(run backfill.Run, chunks []backfill.Chunk) []columnValues {
	n := len(chunks)
	var chain, status repeated
	status.add(statusPlanned, n)
	ids, addresses := make(slice[string], n), make(slice[string], n)
	intervals, from, to := make(slice[uint32], n), make(slice[int64], n), make(slice[int64], n)
	for i, chunk := range chunks {
		chain.add(string(chunk.Token.Chain), 1)
		ids[i], addresses[i] = string(chunk.ID), chunk.Token.Address
		intervals[i], from[i], to[i] = uint32(chunk.Interval), storable(chunk.Range.From), storable(chunk.Range.To)
	}
	return []columnValues{
		slice[uuid.UUID](slices.Repeat([]uuid.UUID{run.ID()}, n)), slice[uint32](slices.Repeat([]uint32{uint32(run.Attempt)}, n)),
		ids, chain, addresses, intervals, from, to, status,
	}
}

// RecordOutcomes writes the outcome rows of chunks. A success that is there already stays, as does an earlier outcome of
// the same rank.
func (db *DB) RecordOutcomes(ctx context.Context, run backfill.Run, outcomes []backfill.Outcome) error {
	for part := range slices.Chunk(outcomes, plannedPerInsert) {
		rows := make([]backfill.TaskRow, len(part))
		for i, outcome := range part {
			rows[i] = newOutcomeRow(run, outcome)
		}
		if err := insertStructs(ctx, db, insertOutcomesSQL, rows); err != nil {
			return db.Failed(fmt.Sprintf("write outcomes of run %s", run.ID()), err)
		}
	}
	return nil
}

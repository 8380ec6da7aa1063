package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

const statusPlanned = "planned"

// taskRow is a row of ohlcv_ingestion_tasks, for writing and for reading.
type taskRow struct {
	RunID           uuid.UUID  `ch:"run_id"`
	Attempt         uint32     `ch:"attempt"`
	ChunkID         string     `ch:"chunk_id"`
	Chain           string     `ch:"chain"`
	TokenAddress    string     `ch:"token_address"`
	IntervalSeconds uint32     `ch:"interval_seconds"`
	RangeFrom       time.Time  `ch:"range_from"`
	RangeTo         time.Time  `ch:"range_to"`
	Status          string     `ch:"status"`
	Fetched         int64      `ch:"candles_fetched"`
	Inserted        int64      `ch:"candles_inserted"`
	Rejected        int64      `ch:"candles_rejected"`
	Deduplicated    int64      `ch:"candles_deduplicated"`
	Shadowed        *int64     `ch:"candles_shadowed"` // nil = not recorded, as with Skipped
	Skipped         *int64     `ch:"candles_skipped"`
	ZeroVolume      int64      `ch:"zero_volume_count"`
	Dropped         int64      `ch:"candles_dropped"`
	APICalls        int64      `ch:"api_calls"`
	Credits         int64      `ch:"credits"`
	ErrorMessage    string     `ch:"error_message"`
	ErrorClass      string     `ch:"error_class"`
	Source          string     `ch:"source"`
	Executions      uint32     `ch:"executions"`
	Worker          string     `ch:"worker"`
	ScriptVersion   string     `ch:"script_version"`
	StartedAt       *time.Time `ch:"started_at"`
	EndedAt         *time.Time `ch:"ended_at"`
	AnsweredTo      *time.Time `ch:"answered_to"`
	Files           []string   `ch:"files"`
	RecordedAt      time.Time  `ch:"recorded_at"` // set by the server
}

func newPlannedRow(run backfill.Run, chunk backfill.Chunk) taskRow {
	return taskRow{
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
func newOutcomeRow(run backfill.Run, o backfill.Outcome) taskRow {
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

func (r *taskRow) chunk() backfill.Chunk {
	return backfill.Chunk{
		ID:       backfill.ChunkID(r.ChunkID),
		Token:    r.token(),
		Interval: candle.Interval(r.IntervalSeconds),
		Range:    r.span(),
	}
}

func (r *taskRow) token() candle.Token {
	return candle.Token{Chain: candle.Chain(r.Chain), Address: r.TokenAddress}
}

func (r *taskRow) span() candle.Range {
	return candle.Range{From: r.RangeFrom.Unix(), To: r.RangeTo.Unix()}
}

// outcome is nil while the chunk is only planned.
func (r *taskRow) outcome() *backfill.Outcome {
	if r.Status == statusPlanned {
		return nil
	}
	outcome := &backfill.Outcome{
		ChunkID: backfill.ChunkID(r.ChunkID),
		Token:   r.token(),
		Range:   r.span(),
		Status:  backfill.OutcomeStatus(r.Status),
		Stats: backfill.Stats{
			Fetched:      r.Fetched,
			Inserted:     r.Inserted,
			Rejected:     r.Rejected,
			Deduplicated: r.Deduplicated,
			Shadowed:     orNone(r.Shadowed),
			Skipped:      orNone(r.Skipped),
			ZeroVolume:   r.ZeroVolume,
			Dropped:      r.Dropped,
			APICalls:     r.APICalls,
			Credits:      r.Credits,
		},
		Error:      r.ErrorMessage,
		ErrorClass: backfill.Class(r.ErrorClass),
		Source:     r.Source,
		Executions: int(r.Executions),
		Worker:     r.Worker,
		Version:    r.ScriptVersion,
		StartedAt:  orZero(r.StartedAt),
		EndedAt:    orZero(r.EndedAt),
	}
	for _, file := range r.Files {
		outcome.Files = append(outcome.Files, backfill.ParseFile(file))
	}
	if r.AnsweredTo != nil {
		outcome.AnsweredTo = r.AnsweredTo.Unix()
	}
	return outcome
}

// orNone leaves what is not recorded out of the deduplicated candles that are told apart, see backfill.Stats.SplitKnown.
func orNone(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// nullable turns the zero time into NULL.
func nullable(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

// plannedPerInsert bounds the memory of a large plan: a row takes about 0.4 kB while it is sent.
const plannedPerInsert = 50_000

// Planned writes a planned row for each chunk of the attempt. It never hides an outcome that is there already.
func (db *DB) Planned(ctx context.Context, run backfill.Run, chunks []backfill.Chunk) error {
	for part := range slices.Chunk(chunks, plannedPerInsert) {
		if err := db.insertColumns(ctx, insertPlannedSQL, plannedColumns(run, part)); err != nil {
			return db.storeError(fmt.Sprintf("write the plan of run %s", run.ID()), err)
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
		rows := make([]taskRow, len(part))
		for i, outcome := range part {
			rows[i] = newOutcomeRow(run, outcome)
		}
		if err := insertStructs(ctx, db, insertOutcomesSQL, rows); err != nil {
			return db.storeError(fmt.Sprintf("write outcomes of run %s", run.ID()), err)
		}
	}
	return nil
}

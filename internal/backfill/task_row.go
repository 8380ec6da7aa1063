package backfill

import (
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// TaskRow is a row of ohlcv_ingestion_tasks, for writing and for reading.
type TaskRow struct {
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

// Chunk is the chunk that the row is about.
func (r *TaskRow) Chunk() Chunk {
	return Chunk{
		ID:       ChunkID(r.ChunkID),
		Token:    r.token(),
		Interval: candle.Interval(r.IntervalSeconds),
		Range:    r.span(),
	}
}

func (r *TaskRow) token() candle.Token {
	return candle.Token{Chain: candle.Chain(r.Chain), Address: r.TokenAddress}
}

func (r *TaskRow) span() candle.Range {
	return candle.Range{From: r.RangeFrom.Unix(), To: r.RangeTo.Unix()}
}

// Outcome is what the chunk ended as; nil while the chunk is only planned.
func (r *TaskRow) Outcome() *Outcome {
	if r.Status == "planned" {
		return nil
	}
	outcome := &Outcome{
		ChunkID: ChunkID(r.ChunkID),
		Token:   r.token(),
		Range:   r.span(),
		Status:  OutcomeStatus(r.Status),
		Stats: Stats{
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
		ErrorClass: Class(r.ErrorClass),
		Source:     r.Source,
		Executions: int(r.Executions),
		Worker:     r.Worker,
		Version:    r.ScriptVersion,
		StartedAt:  orZero(r.StartedAt),
		EndedAt:    orZero(r.EndedAt),
	}
	for _, file := range r.Files {
		outcome.Files = append(outcome.Files, ParseFile(file))
	}
	if r.AnsweredTo != nil {
		outcome.AnsweredTo = r.AnsweredTo.Unix()
	}
	return outcome
}

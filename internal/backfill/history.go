package backfill

import (
	"context"

	"github.com/google/uuid"
)

// The durable history of runs, as each step needs it. The package clickhouse implements all of these.

// LaunchHistory is what Launch needs.
type LaunchHistory interface {
	// Planned writes a planned row for each chunk of the attempt.
	Planned(ctx context.Context, run Run, chunks []Chunk) error
	// Started writes the run's row as running; written late, it never hides an end that is there already.
	Started(ctx context.Context, run Run) error
}

// FinishHistory is what Finish needs.
type FinishHistory interface {
	// RecordOutcomes writes outcome rows that workers could not write.
	RecordOutcomes(ctx context.Context, run Run, outcomes []Outcome) error
	// Finished writes the attempt's end. Writing it again changes nothing.
	Finished(ctx context.Context, record RunRecord) error
	// Shadowed counts the run's candles that bring nothing over what other runs serve.
	Shadowed(ctx context.Context, run Run) (int64, error)
}

// FillHistory is what a worker needs.
type FillHistory interface {
	// Success returns the outcome row of a chunk that ended in success in this attempt, if there is one: the worker that
	// wrote it may have died before it wrote to the ledger.
	Success(ctx context.Context, task Task) (outcome Outcome, found bool, err error)
	// RecordOutcomes writes outcome rows of chunks that ended without candles.
	RecordOutcomes(ctx context.Context, run Run, outcomes []Outcome) error
	// Run returns one run's latest record; ErrUnknownRun when there is none.
	Run(ctx context.Context, runID uuid.UUID) (RunRecord, error)
}

// ReconcileHistory is what the reconciler needs.
type ReconcileHistory interface {
	// Unfinished lists the runs whose latest attempt has started and not ended.
	Unfinished(ctx context.Context) ([]Run, error)
	// Run returns one run's latest record; ErrUnknownRun when there is none.
	Run(ctx context.Context, runID uuid.UUID) (RunRecord, error)
	// PlannedCount returns how many chunks of the attempt have a planned row or an outcome.
	PlannedCount(ctx context.Context, runID uuid.UUID, attempt int) (int, error)
	// AttemptChunks calls yield for each chunk of the attempt in batches, with its outcome if it has one.
	AttemptChunks(ctx context.Context, runID uuid.UUID, attempt int, yield func([]HistoryChunk) error) error
	// SuccessesBefore calls yield with the chunks' successes in attempts before this one, each chunk once.
	SuccessesBefore(ctx context.Context, runID uuid.UUID, attempt int, yield func([]Outcome) error) error
}

// HistoryChunk is a chunk as the history has it.
type HistoryChunk struct {
	Chunk   Chunk
	Outcome *Outcome // nil while only planned
}

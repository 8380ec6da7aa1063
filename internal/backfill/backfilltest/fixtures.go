package backfilltest

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

var runCounter atomic.Int64

// NewRun returns a first attempt with an input of its own and its chunks, an hour of minutes each.
func NewRun(chunks int) (backfill.Run, []backfill.Chunk) {
	run := backfill.Run{
		Manifest: manifest.Manifest{
			RunID:      uuid.New(),
			StartedAt:  time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC),
			StartedBy:  "ana@quant",
			CLIArgs:    map[string]any{"from": "2024-01-01"},
			EnvInfo:    map[string]string{"BIRDEYE_API_KEY": "***"},
			InputHash:  fmt.Sprintf("input-%d", runCounter.Add(1)),
			Source:     "birdeye",
			Interval:   candle.Interval1m,
			Range:      candle.Range{From: 0, To: 86400},
			DedupMode:  manifest.DedupNone,
			Validation: candle.Lenient,
		},
		Attempt:       1,
		PlannedChunks: chunks,
	}
	plan := make([]backfill.Chunk, chunks)
	token := candle.Token{Chain: candle.Solana, Address: "So11111111111111111111111111111111111111112"}
	for i := range plan {
		plan[i] = backfill.NewChunk(token, candle.Interval1m, candle.Range{From: int64(i) * 3600, To: int64(i+1) * 3600})
	}
	return run, plan
}

// TaskOf returns the task of a chunk in the run's attempt.
func TaskOf(run backfill.Run, chunk backfill.Chunk) backfill.Task {
	return backfill.Task{RunID: run.ID(), Attempt: run.Attempt, ChunkID: chunk.ID}
}

// OutcomeOf returns an outcome of the chunk; a success has 60 candles, of which 2 are rejected.
func OutcomeOf(chunk backfill.Chunk, status backfill.OutcomeStatus) backfill.Outcome {
	outcome := backfill.Outcome{
		ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: status, Source: "birdeye", Executions: 1,
		Worker: "w1", Version: "v1", StartedAt: time.Unix(1_700_000_000, 0).UTC(), EndedAt: time.Unix(1_700_000_001, 0).UTC(),
	}
	if status == backfill.OutcomeSuccess {
		outcome.Stats = backfill.Stats{Fetched: 60, Inserted: 58, Rejected: 2, APICalls: 1}
	} else {
		outcome.Error, outcome.ErrorClass = "HTTP 500", backfill.ClassUnavailable
	}
	return outcome
}

// ResultOf returns a record of the attempt's end.
func ResultOf(run backfill.Run) backfill.RunRecord {
	return backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: time.Unix(1_700_000_002, 0).UTC()}
}

// ProgressOf adds up what a ledger counts for people.
func ProgressOf(outcomes map[backfill.ChunkID]backfill.Outcome) (p backfill.Progress) {
	for _, o := range outcomes {
		switch o.Status {
		case backfill.OutcomeSuccess:
			p.Succeeded++
		case backfill.OutcomeFailed:
			p.Failed++
		case backfill.OutcomeCancelled:
			p.Cancelled++
		}
		p.Fetched += o.Stats.Fetched
		p.Inserted += o.Stats.Inserted
		p.Rejected += o.Stats.Rejected
	}
	return p
}

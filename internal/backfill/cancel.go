package backfill

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
)

// CancelLedger is what Cancel needs beyond the other views.
type CancelLedger interface {
	FillLedger
	FinishLedger
	// Cancel marks the run as cancelled: workers take up none of its chunks and store none that they are fetching.
	Cancel(ctx context.Context, runID uuid.UUID) error
	// PendingPage is ReconcileLedger's.
	PendingPage(ctx context.Context, runID uuid.UUID, attempt int, cursor uint64) (chunks []Chunk, next uint64, err error)
}

// Canceller ends runs before their time.
type Canceller struct {
	Ledger   CancelLedger
	History  FillHistory
	Finisher *Finisher
	// Name is this process in the outcomes that it writes.
	Name   string
	Logger *slog.Logger
	Now    func() time.Time
}

// Cancel marks the run, then ends its pending chunks as cancelled and the run itself, so that no worker needs to be
// there. A run that is still being planned is marked, and its chunks end as workers meet them. ErrUnknownRun and
// ErrFinished tell that there is nothing to cancel.
func (c *Canceller) Cancel(ctx context.Context, runID uuid.UUID) error {
	state, err := c.Ledger.State(ctx, runID)
	if err != nil {
		return err
	}
	if state.Phase == PhaseFinishing || state.Phase == PhaseFinished {
		return ErrFinished
	}
	if err := c.Ledger.Cancel(ctx, runID); err != nil {
		return fmt.Errorf("cancel run %s: %w", runID, err)
	}
	if state.Phase == PhasePlanning {
		return nil
	}
	for cursor := uint64(0); ; {
		chunks, next, err := c.Ledger.PendingPage(ctx, runID, state.Run.Attempt, cursor)
		if err != nil {
			return fmt.Errorf("scan the pending chunks of run %s: %w", runID, err)
		}
		if err := c.end(ctx, state, chunks); err != nil {
			return err
		}
		if next == 0 {
			return c.Finisher.Finish(ctx, runID, state.Run.Attempt)
		}
		cursor = next
	}
}

// end records the chunks as cancelled. A chunk that a worker is storing right now may still end in success: that ranks
// higher.
func (c *Canceller) end(ctx context.Context, state LedgerState, chunks []Chunk) error {
	if len(chunks) == 0 {
		return nil
	}
	now := c.Now().UTC()
	outcomes := make([]Outcome, 0, len(chunks))
	for _, chunk := range chunks {
		outcomes = append(outcomes, Outcome{
			ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: OutcomeCancelled, Error: "run cancelled",
			Source: state.Run.Manifest.Source, Worker: c.Name, Version: state.Run.Manifest.ScriptVersion, StartedAt: now, EndedAt: now,
		})
	}
	err := c.History.RecordOutcomes(ctx, state.Run, outcomes)
	if err != nil {
		c.Logger.WarnContext(ctx, "outcome rows not written, Finish will write them", "run_id", state.Run.ID(), "err", err)
	}
	for _, outcome := range outcomes {
		outcome.Unrecorded = err != nil
		task := Task{RunID: state.Run.ID(), Attempt: state.Run.Attempt, ChunkID: outcome.ChunkID}
		if _, err := c.Ledger.Record(ctx, task, state.Epoch, outcome); err != nil {
			return fmt.Errorf("record chunk %s as cancelled: %w", outcome.ChunkID, err)
		}
	}
	return nil
}

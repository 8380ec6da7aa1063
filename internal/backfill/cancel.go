package backfill

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"
)

// CancelLedger is what Cancel needs beyond the other views.
type CancelLedger interface {
	FillLedger
	FinishLedger
	// Cancel marks the run as cancelled: workers take up none of its chunks, stop fetching those that they have, and store
	// none.
	Cancel(ctx context.Context, runID uuid.UUID) error
	// EndCancelled puts cancelled as the outcome of those of the chunks that have none. ErrStale says that the run was rebuilt
	// meanwhile.
	EndCancelled(ctx context.Context, runID uuid.UUID, attempt int, epoch int64, outcomes []Outcome) error
	// The rest is LaunchLedger's and ReconcileLedger's.
	TakeOver(ctx context.Context, runID uuid.UUID) (epoch int64, err error)
	Seal(ctx context.Context, runID uuid.UUID, epoch int64) (finish bool, err error)
	Abandon(ctx context.Context, runID uuid.UUID, epoch int64, result RunRecord) error
	PlannedChunks(ctx context.Context, runID uuid.UUID, attempt int) (int, error)
	PendingPage(ctx context.Context, runID uuid.UUID, attempt int, cursor uint64) (chunks []PendingChunk, next uint64, err error)
}

// Canceller ends runs before their time.
type Canceller struct {
	Ledger   CancelLedger
	History  FinishHistory
	Finisher *Finisher
	// Name is this process in the outcomes that it writes.
	Name   string
	Logger *slog.Logger
	Now    func() time.Time
}

// Cancel marks the run, then ends its pending chunks as cancelled and the run itself; no worker and no enqueuer needs to
// be there. ErrUnknownRun and ErrFinished say that there is nothing to cancel.
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
		ended, err := c.endPlanning(ctx, state)
		if err != nil || ended {
			return err
		}
	}
	return c.EndPending(ctx, state)
}

// endPlanning takes the run from the process that plans it. A plan that is whole is sealed, so that its chunks can end as
// cancelled; otherwise none of its tasks exists yet, and the run ends here.
func (c *Canceller) endPlanning(ctx context.Context, state LedgerState) (ended bool, err error) {
	runID := state.Run.ID()
	epoch, err := c.Ledger.TakeOver(ctx, runID)
	if err != nil {
		return false, fmt.Errorf("take run %s over: %w", runID, err)
	}
	planned, err := c.Ledger.PlannedChunks(ctx, runID, state.Run.Attempt)
	if err != nil {
		return false, fmt.Errorf("count the plan of run %s: %w", runID, err)
	}
	if planned == state.AttemptChunks {
		_, err := c.Ledger.Seal(ctx, runID, epoch)
		return false, err
	}
	record := RunRecord{
		Run: state.Run, Status: StatusCancelled, CompletedAt: c.Now().UTC(), CancelledChunks: state.AttemptChunks,
		ErrorMessage: "cancelled while it was being planned",
	}
	return true, abandonWith(ctx, c.Ledger, c.History, epoch, record)
}

// EndPending ends the pending chunks of a cancelled run as cancelled, then the run.
func (c *Canceller) EndPending(ctx context.Context, state LedgerState) error {
	runID := state.Run.ID()
	if err := c.endPending(ctx, state); err != nil {
		return err
	}
	err := c.Finisher.Finish(ctx, runID, state.Run.Attempt)
	if errors.Is(err, ErrNotDone) {
		return nil // Redis may skip what moved during the scan: workers or the reconciler end the rest
	}
	return err
}

// endPending scans on while chunks end: the scan and the calls of end wait for different stores most of the time.
func (c *Canceller) endPending(ctx context.Context, state LedgerState) error {
	ends, ctx := errgroup.WithContext(ctx)
	ends.SetLimit(2)
	var gathered []PendingChunk
	scan := func() error {
		for cursor := uint64(0); ; {
			chunks, next, err := c.Ledger.PendingPage(ctx, state.Run.ID(), state.Run.Attempt, cursor)
			if err != nil {
				return fmt.Errorf("scan the pending chunks of run %s: %w", state.Run.ID(), err)
			}
			// A page is small, and an insert of few rows costs as much as one of many.
			if gathered = append(gathered, chunks...); len(gathered) >= cancelledTogether || next == 0 {
				together := gathered
				ends.Go(func() error { return c.end(ctx, state, together) })
				gathered = nil
			}
			if next == 0 {
				return nil
			}
			cursor = next
		}
	}
	scanErr := scan()
	// The scan fails with the context that a failed end cancelled: the end's error is the cause.
	return cmp.Or(ends.Wait(), scanErr)
}

// cancelledTogether is how many chunks end in one insert.
const cancelledTogether = 5_000

// end records the chunks as cancelled. A chunk that a worker is storing right now may still end in success: that ranks
// higher.
func (c *Canceller) end(ctx context.Context, state LedgerState, chunks []PendingChunk) error {
	if len(chunks) == 0 {
		return nil
	}
	now := c.Now().UTC()
	outcomes := make([]Outcome, 0, len(chunks))
	for _, pending := range chunks {
		chunk := pending.Chunk
		outcomes = append(outcomes, Outcome{
			ChunkID: chunk.ID, Token: chunk.Token, Range: chunk.Range, Status: OutcomeCancelled, Error: "run cancelled",
			Source: state.Run.Manifest.Source, Worker: c.Name, Version: state.Run.Manifest.ScriptVersion, StartedAt: now, EndedAt: now,
		})
	}
	err := c.History.RecordOutcomes(ctx, state.Run, outcomes)
	if err != nil {
		c.Logger.WarnContext(ctx, "outcome rows not written, Finish will write them", "run_id", state.Run.ID(), "err", err)
	}
	for i := range outcomes {
		outcomes[i].Unrecorded = err != nil
	}
	if err := c.Ledger.EndCancelled(ctx, state.Run.ID(), state.Run.Attempt, state.Epoch, outcomes); err != nil {
		return fmt.Errorf("record %d chunks of run %s as cancelled: %w", len(outcomes), state.Run.ID(), err)
	}
	return nil
}

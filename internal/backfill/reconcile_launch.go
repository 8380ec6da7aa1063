package backfill

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/pause"
)

// resumeDead goes on with a launch whose process stopped showing that it lives.
func (r *Reconciler) resumeDead(ctx context.Context, state LedgerState) error {
	if state.Phase != PhasePlanning || state.HeartbeatAge <= HeartbeatStale {
		return nil
	}
	return r.resume(ctx, state)
}

// FreeInput looks whether the process lives that plans the run which holds an input, and goes on with the run in its place
// when it does not: as far as the plan is stored, else the run fails. free is true when the input may be free now. It takes
// as long as a living process needs to show itself, and HeartbeatStale at most; say hears what is being done.
func (r *Reconciler) FreeInput(ctx context.Context, runID uuid.UUID, say func(text string)) (free bool, err error) {
	last := time.Duration(-1)
	for {
		state, err := r.Ledger.State(ctx, runID)
		switch {
		case errors.Is(err, ErrUnknownRun):
			return true, nil
		case err != nil:
			return false, err
		case state.Phase != PhasePlanning:
			return state.Phase == PhaseFinished, nil
		case state.HeartbeatAge > HeartbeatStale:
			say(fmt.Sprintf("the enqueuer of run %s, which has the same input, died %s ago while planning: going on in its place", runID, state.HeartbeatAge.Round(time.Second)))
			if err := r.resume(ctx, state); err != nil {
				return false, err
			}
			continue
		case state.HeartbeatAge < last:
			return false, nil // it has shown itself
		case last < 0:
			say(fmt.Sprintf("run %s with the same input is being planned: looking whether its enqueuer lives", runID))
		}
		last = state.HeartbeatAge
		if pause.For(ctx, freeInputPause) != nil {
			return false, ctx.Err()
		}
	}
}

// freeInputPause is between two looks at a heartbeat.
const freeInputPause = 500 * time.Millisecond

// resume goes on with a launch whose process died: from the ledger's plan or the history's, whichever is whole. When
// neither is, nobody knows what the run was to fetch, and it fails.
func (r *Reconciler) resume(ctx context.Context, state LedgerState) error {
	run := state.Run
	chunks, err := r.wholePlan(ctx, run)
	if err != nil {
		return err
	}
	epoch, err := r.Ledger.TakeOver(ctx, run.ID())
	if err != nil {
		return fmt.Errorf("take over: %w", err)
	}
	if chunks == nil && run.AttemptChunks() > 0 {
		return r.abandon(ctx, run, epoch)
	}
	r.Logger.WarnContext(ctx, "enqueuer died, going on with its plan", "run_id", run.ID(), "chunks", len(chunks))
	r.count(ctx, run.ID(), RepairResumed, 1)
	if err := r.restorer().restoreEarlier(ctx, run, epoch); err != nil {
		return err
	}
	return r.Launcher.Continue(ctx, run, epoch, chunks)
}

// wholePlan returns all chunks of the attempt, or nil when neither store has them all.
func (r *Reconciler) wholePlan(ctx context.Context, run Run) ([]Chunk, error) {
	planned, err := r.Ledger.PlannedChunks(ctx, run.ID(), run.Attempt)
	if err != nil {
		return nil, fmt.Errorf("count the ledger's plan: %w", err)
	}
	chunks := make([]Chunk, 0, run.AttemptChunks())
	if planned == run.AttemptChunks() {
		err := r.Ledger.Plan(ctx, run.ID(), run.Attempt, func(batch []Chunk) error {
			chunks = append(chunks, batch...)
			return nil
		})
		return chunks, err
	}
	rows, err := r.History.PlannedCount(ctx, run.ID(), run.Attempt)
	if err != nil {
		return nil, fmt.Errorf("count the history's plan: %w", err)
	}
	if rows != run.AttemptChunks() {
		return nil, nil
	}
	err = r.History.AttemptChunks(ctx, run.ID(), run.Attempt, func(batch []HistoryChunk) error {
		for _, c := range batch {
			chunks = append(chunks, c.Chunk)
		}
		return nil
	})
	return chunks, err
}

// diedPlanning is the error of a run whose plan was lost with its enqueuer.
const diedPlanning = "enqueuer died while planning"

// abandon ends an attempt that nobody can go on with. A retry that is abandoned leaves the run's numbers as they were.
func (r *Reconciler) abandon(ctx context.Context, run Run, epoch int64) error {
	r.Logger.ErrorContext(ctx, "enqueuer died while planning, the run fails", "run_id", run.ID(), "attempt", run.Attempt)
	r.count(ctx, run.ID(), RepairAbandon, 1)
	record := RunRecord{Run: run}
	if run.Attempt > 1 {
		earlier, err := r.History.Run(ctx, run.ID())
		if err != nil {
			return fmt.Errorf("read the attempt before: %w", err)
		}
		record = earlier
		record.Run = run
	}
	record.Status, record.CompletedAt, record.ErrorMessage = StatusFailed, r.Now().UTC(), diedPlanning
	return abandonWith(ctx, r.Ledger, r.History, epoch, record)
}

// abandonWith stores the end of an attempt whose plan never was whole.
func abandonWith(ctx context.Context, ledger abandonLedger, history FinishHistory, epoch int64, record RunRecord) error {
	if err := ledger.Abandon(ctx, record.ID(), epoch, record); err != nil && !errors.Is(err, ErrFinished) {
		return fmt.Errorf("abandon the run: %w", err)
	}
	if err := history.Finished(ctx, record); err != nil {
		return fmt.Errorf("write the end of the abandoned run: %w", err)
	}
	return ledger.Archive(ctx, record.ID(), record.Attempt)
}

type abandonLedger interface {
	Abandon(ctx context.Context, runID uuid.UUID, epoch int64, result RunRecord) error
	Archive(ctx context.Context, runID uuid.UUID, attempt int) error
}

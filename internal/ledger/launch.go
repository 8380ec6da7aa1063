package ledger

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"quantbot/internal/backfill"
)

// Open creates the run in PhasePlanning, or moves a finished run on to run.Attempt, and returns its epoch. It returns a
// a *backfill.RefusedError when a run with the same input, or the same one as typed, is active, unless force; backfill.ErrFinished when this
// attempt is over; and an error when the run is there and not finished.
//
// A process that dies inside leaves at most a run in PhasePlanning without a heartbeat, which the reconciler ends.
func (l *Ledger) Open(ctx context.Context, run backfill.Run, force bool) (epoch int64, err error) {
	c := claim{runID: run.ID(), owner: uuid.NewString()}
	claimed, err := l.claimInputs(ctx, &run.Manifest, c, force)
	if err != nil {
		return 0, err
	}
	epoch, err = l.create(ctx, run, c, false)
	if err != nil {
		return 0, errors.Join(err, l.releaseInputs(ctx, claimed, c))
	}
	if err := l.confirmInputs(ctx, claimed, c, force); err != nil {
		return 0, err
	}
	return epoch, nil
}

func isDuplicate(err error) bool {
	return backfill.RefusalOf(err) == backfill.RefusedSameInput
}

// create makes meta. The run joins the active ones before, so that a run never exists that no reconciler looks at, and
// once more after, because one that looked in between may have taken an id without a run off the list.
func (l *Ledger) create(ctx context.Context, run backfill.Run, c claim, rebuild bool) (epoch int64, err error) {
	manifest, err := json.Marshal(run)
	if err != nil {
		return 0, fmt.Errorf("encode run %s: %w", run.ID(), err)
	}
	if err := l.activate(ctx, run.ID()); err != nil {
		return 0, err
	}
	r, err := l.run(ctx, openScript, keysOf(run.ID()).all(run.Attempt),
		c.owner, manifest, run.Attempt, run.AttemptChunks(), flag(rebuild), run.Manifest.HaltRejectionRate,
		run.Manifest.MaxCredits)
	if err != nil {
		return 0, err
	}
	if r.status() == "exists" {
		return 0, &existsError{attempt: r.number(1), phase: backfill.Phase(r.text(2))}
	}
	return r.number(1), l.activate(ctx, run.ID())
}

// existsError says that the run is in the ledger and goes on.
type existsError struct {
	attempt int64
	phase   backfill.Phase
}

func (e *existsError) Error() string {
	return fmt.Sprintf("the run exists already: attempt %d is %s", e.attempt, e.phase)
}

func (l *Ledger) activate(ctx context.Context, runID uuid.UUID) error {
	if err := l.client.SAdd(ctx, activeKey, runID.String()).Err(); err != nil {
		return redisError("add to the active runs", err)
	}
	return nil
}

// Heartbeat shows that the planning process lives.
func (l *Ledger) Heartbeat(ctx context.Context, runID uuid.UUID, epoch int64) error {
	_, err := l.run(ctx, heartbeatScript, []string{keysOf(runID).meta()}, formatEpoch(epoch))
	return err
}

// A script call stores this many chunks: enough that the round trip does not count, few enough that Redis answers others
// in between within a millisecond or two. Some calls are in flight together, so that encoding here and storing there
// overlap.
const (
	planBatch    = 500
	planInFlight = 4
)

// StorePlan adds chunks to the plan and marks those without an outcome in this attempt as pending. Repeating it is
// harmless. A sealed attempt takes no new chunks: naming one is an error.
func (l *Ledger) StorePlan(ctx context.Context, runID uuid.UUID, epoch int64, chunks []backfill.Chunk) error {
	// A new attempt always has a new epoch, so the script's check of the epoch covers this attempt too.
	attempt, err := l.attemptOf(ctx, runID)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(planInFlight)
	for start := 0; start < len(chunks); start += planBatch {
		batch := chunks[start:min(start+planBatch, len(chunks))]
		group.Go(func() error { return l.storeBatch(ctx, runID, attempt, epoch, batch) })
	}
	return group.Wait()
}

func (l *Ledger) storeBatch(ctx context.Context, runID uuid.UUID, attempt int, epoch int64, chunks []backfill.Chunk) error {
	args := make([]any, 0, 1+2*len(chunks))
	args = append(args, formatEpoch(epoch))
	for _, chunk := range chunks {
		encoded, err := encodeChunk(chunk)
		if err != nil {
			return err
		}
		args = append(args, string(chunk.ID), encoded)
	}
	k := keysOf(runID)
	r, err := l.run(ctx, storePlanScript, []string{k.meta(), k.plan(), k.pending(attempt), k.outcome(attempt)}, args...)
	if err != nil {
		return err
	}
	if r.status() == "not_in_plan" {
		return fmt.Errorf("attempt %d is sealed without chunk %s", attempt, r.text(1))
	}
	return nil
}

// Seal ends PhasePlanning. finish is true when nothing is pending. It refuses a plan that has fewer or more chunks than
// the attempt was opened for.
func (l *Ledger) Seal(ctx context.Context, runID uuid.UUID, epoch int64) (finish bool, err error) {
	attempt, err := l.attemptOf(ctx, runID)
	if err != nil {
		return false, err
	}
	k := keysOf(runID)
	r, err := l.run(ctx, sealScript, []string{k.meta(), k.pending(attempt), k.outcome(attempt)}, formatEpoch(epoch))
	if err != nil {
		return false, err
	}
	if r.status() == "not_whole" {
		return false, fmt.Errorf("the plan has %d chunks instead of %d", r.number(1), r.number(2))
	}
	return r.number(1) == 1, nil
}

// SetHistoryStale remembers whether the history lacks the run's start or plan.
func (l *Ledger) SetHistoryStale(ctx context.Context, runID uuid.UUID, stale bool) error {
	_, err := l.run(ctx, markScript, []string{keysOf(runID).meta()}, "history_behind", flag(stale))
	return err
}

package backfilltest

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Lease implements backfill.DutyLedger.
func (l *Ledger) Lease(_ context.Context, duty backfill.Duty, holder string, ttl time.Duration) (held bool, err error) {
	end, err := l.begin("Lease")
	if err != nil {
		return false, err
	}
	defer end()
	if lease := l.duties[duty]; lease.holder != holder && lease.until.After(l.now()) {
		return false, nil
	}
	l.duties[duty] = dutyLease{holder: holder, until: l.now().Add(ttl)}
	return true, nil
}

// ReleaseLease implements backfill.ReconcileLedger.
func (l *Ledger) ReleaseLease(_ context.Context, duty backfill.Duty, holder string) error {
	end, err := l.begin("ReleaseLease")
	if err != nil {
		return err
	}
	defer end()
	if l.duties[duty].holder == holder {
		delete(l.duties, duty)
	}
	return nil
}

// ActiveRuns implements backfill.ReconcileLedger.
func (l *Ledger) ActiveRuns(context.Context) (runs []uuid.UUID, err error) {
	end, err := l.begin("ActiveRuns")
	if err != nil {
		return nil, err
	}
	defer end()
	for runID := range l.active {
		runs = append(runs, runID)
	}
	return runs, nil
}

// Forget implements backfill.ReconcileLedger.
func (l *Ledger) Forget(_ context.Context, runID uuid.UUID) error {
	end, err := l.begin("Forget")
	if err != nil {
		return err
	}
	defer end()
	if _, ok := l.runs[runID]; !ok {
		delete(l.active, runID)
	}
	return nil
}

// LoseState leaves only the name of the run among the active ones, as a process leaves it that dies before the run exists.
func (l *Ledger) LoseState(runID uuid.UUID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.runs, runID)
}

// RestoreOutcomes implements backfill.ReconcileLedger.
func (l *Ledger) RestoreOutcomes(_ context.Context, runID uuid.UUID, epoch int64, attempt int, outcomes []backfill.Outcome) error {
	if len(outcomes) == 0 {
		return l.fail("RestoreOutcomes")
	}
	r, end, err := l.planner("RestoreOutcomes", runID, epoch)
	if err != nil {
		return err
	}
	defer end()
	for _, o := range outcomes {
		if _, present := r.attempt(attempt).outcomes[o.ChunkID]; !present {
			r.attempt(attempt).put(o)
		}
	}
	return nil
}

// pageSize is how many pending chunks come in a page.
const pageSize = 500

// PendingPage implements backfill.ReconcileLedger. The cursor is the first half of the id to go on with, which stays where it
// is while chunks leave.
func (l *Ledger) PendingPage(_ context.Context, runID uuid.UUID, attempt int, cursor uint64) (chunks []backfill.PendingChunk, next uint64, err error) {
	end, err := l.begin("PendingPage")
	if err != nil {
		return nil, 0, err
	}
	defer end()
	r, ok := l.runs[runID]
	if !ok {
		return nil, 0, nil
	}
	a := r.attempt(attempt)
	for _, id := range sorted(a.pending) {
		place := placeOf(id)
		if place < cursor {
			continue
		}
		if len(chunks) >= pageSize {
			return chunks, place, nil
		}
		chunks = append(chunks, backfill.PendingChunk{
			Chunk: r.plan[id], Generation: a.of(id).generation, Held: a.leases[id].After(l.now()),
		})
	}
	return chunks, 0, nil
}

func placeOf(id backfill.ChunkID) uint64 {
	place, err := strconv.ParseUint(string(id[:16]), 16, 64)
	if err != nil {
		panic("an id that is no hash: " + string(id))
	}
	return place
}

// Expired implements backfill.ReconcileLedger.
func (l *Ledger) Expired(_ context.Context, runID uuid.UUID, attempt int) (expired []backfill.ExpiredLease, err error) {
	end, err := l.begin("Expired")
	if err != nil {
		return nil, err
	}
	defer end()
	r, ok := l.runs[runID]
	if !ok {
		return nil, nil
	}
	a := r.attempt(attempt)
	for _, id := range sorted(a.leases) {
		if !a.leases[id].After(l.now()) {
			expired = append(expired, backfill.ExpiredLease{
				Task:      backfill.Task{RunID: runID, Attempt: attempt, ChunkID: id},
				Execution: a.of(id).executions, Generation: a.of(id).generation,
			})
		}
	}
	return expired, nil
}

// PlannedChunk implements backfill.ReconcileLedger.
func (l *Ledger) PlannedChunk(_ context.Context, task backfill.Task) (backfill.Chunk, error) {
	r, end, err := l.of("PlannedChunk", task.RunID)
	if err != nil {
		return backfill.Chunk{}, err
	}
	defer end()
	chunk, ok := r.plan[task.ChunkID]
	if !ok {
		return chunk, backfill.ErrUnknownRun
	}
	return chunk, nil
}

// Regenerate implements backfill.ReconcileLedger.
func (l *Ledger) Regenerate(_ context.Context, task backfill.Task, generation int) (next int, ok bool, err error) {
	end, err := l.begin("Regenerate")
	if err != nil {
		return 0, false, err
	}
	defer end()
	r, there := l.runs[task.RunID]
	if !there || r.finished(task.Attempt) {
		return 0, false, nil
	}
	a, id := r.current(), task.ChunkID
	if !a.pending[id] || a.of(id).generation != generation || a.leases[id].After(l.now()) {
		return 0, false, nil
	}
	delete(a.leases, id)
	a.of(id).generation++
	return a.of(id).generation, true, nil
}

// Count implements backfill.ReconcileLedger.
func (l *Ledger) Count(_ context.Context, runID uuid.UUID, action backfill.RepairAction, n int) error {
	r, end, err := l.of("Count", runID)
	if err != nil {
		return err
	}
	defer end()
	r.repairs[action] += int64(n)
	return nil
}

// Repairs implements AnyLedger.
func (l *Ledger) Repairs(_ context.Context, runID uuid.UUID) (map[backfill.RepairAction]int64, error) {
	end, err := l.begin("Repairs")
	if err != nil {
		return nil, err
	}
	defer end()
	if r, ok := l.runs[runID]; ok {
		return maps.Clone(r.repairs), nil
	}
	return map[backfill.RepairAction]int64{}, nil
}

// PlannedChunks implements backfill.ReconcileLedger.
func (l *Ledger) PlannedChunks(_ context.Context, runID uuid.UUID, attempt int) (int, error) {
	end, err := l.begin("PlannedChunks")
	if err != nil {
		return 0, err
	}
	defer end()
	if r, ok := l.runs[runID]; ok {
		return r.attempt(attempt).size(), nil
	}
	return 0, nil
}

// Plan implements backfill.ReconcileLedger.
func (l *Ledger) Plan(_ context.Context, runID uuid.UUID, attempt int, yield func([]backfill.Chunk) error) error {
	end, err := l.begin("Plan")
	if err != nil {
		return err
	}
	var chunks []backfill.Chunk
	if r, ok := l.runs[runID]; ok {
		a := r.attempt(attempt)
		for _, id := range sorted(r.plan) {
			if _, done := a.outcomes[id]; done || a.pending[id] {
				chunks = append(chunks, r.plan[id])
			}
		}
	}
	end() // yield may call the ledger
	if len(chunks) == 0 {
		return nil
	}
	return yield(chunks)
}

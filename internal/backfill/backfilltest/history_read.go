package backfilltest

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// Run implements backfill.FillHistory.
func (h *History) Run(_ context.Context, runID uuid.UUID) (record backfill.RunRecord, err error) {
	end, err := h.begin("Run")
	if err != nil {
		return record, err
	}
	defer end()
	record, ok := h.run(runID).record()
	if !ok {
		return record, fmt.Errorf("read run %s: %w", runID, backfill.ErrUnknownRun)
	}
	return record, nil
}

// Unfinished implements backfill.ReconcileHistory.
func (h *History) Unfinished(context.Context) (runs []backfill.Run, err error) {
	end, err := h.begin("Unfinished")
	if err != nil {
		return nil, err
	}
	defer end()
	for _, r := range h.runs {
		if record, ok := r.record(); ok && record.Status == backfill.StatusRunning {
			runs = append(runs, record.Run)
		}
	}
	slices.SortFunc(runs, func(a, b backfill.Run) int { return a.Manifest.StartedAt.Compare(b.Manifest.StartedAt) })
	return runs, nil
}

// Success implements backfill.FillHistory.
func (h *History) Success(_ context.Context, task backfill.Task) (outcome backfill.Outcome, found bool, err error) {
	end, err := h.begin("Success")
	if err != nil {
		return outcome, false, err
	}
	defer end()
	outcome, found = h.attempt(task.RunID, task.Attempt).outcomes[task.ChunkID]
	if !found || outcome.Status != backfill.OutcomeSuccess {
		return backfill.Outcome{}, false, nil
	}
	return outcome, true, nil
}

// PlannedCount implements backfill.ReconcileHistory.
func (h *History) PlannedCount(_ context.Context, runID uuid.UUID, attempt int) (int, error) {
	end, err := h.begin("PlannedCount")
	if err != nil {
		return 0, err
	}
	defer end()
	return len(h.attempt(runID, attempt).chunks), nil
}

// batchSize is how many rows come at a time.
const batchSize = 1_000

// AttemptChunks implements backfill.ReconcileHistory.
func (h *History) AttemptChunks(_ context.Context, runID uuid.UUID, attempt int, yield func([]backfill.HistoryChunk) error) error {
	end, err := h.begin("AttemptChunks")
	if err != nil {
		return err
	}
	a := h.attempt(runID, attempt)
	rows := make([]backfill.HistoryChunk, 0, len(a.chunks))
	for _, id := range sorted(a.chunks) {
		row := backfill.HistoryChunk{Chunk: a.chunks[id]}
		if o, ok := a.outcomes[id]; ok {
			row.Outcome = &o
		}
		rows = append(rows, row)
	}
	end() // yield may call the history
	return inBatches(rows, yield)
}

// SuccessesBefore implements backfill.ReconcileHistory.
func (h *History) SuccessesBefore(_ context.Context, runID uuid.UUID, attempt int, yield func([]backfill.Outcome) error) error {
	end, err := h.begin("SuccessesBefore")
	if err != nil {
		return err
	}
	latest := make(map[backfill.ChunkID]backfill.Outcome)
	for n := 1; n < attempt; n++ {
		for id, o := range h.attempt(runID, n).outcomes {
			if o.Status == backfill.OutcomeSuccess {
				latest[id] = o
			}
		}
	}
	end()
	rows := make([]backfill.Outcome, 0, len(latest))
	for _, id := range sorted(latest) {
		rows = append(rows, latest[id])
	}
	return inBatches(rows, yield)
}

// Unsuccessful implements backfill.RetryHistory.
func (h *History) Unsuccessful(_ context.Context, runID uuid.UUID, yield func([]backfill.Chunk) error) (total int, err error) {
	end, err := h.begin("Unsuccessful")
	if err != nil {
		return 0, err
	}
	all, filled := make(map[backfill.ChunkID]backfill.Chunk), make(map[backfill.ChunkID]bool)
	for _, a := range h.run(runID).attempts {
		maps.Copy(all, a.chunks)
		for id, o := range a.outcomes {
			filled[id] = filled[id] || o.Status == backfill.OutcomeSuccess
		}
	}
	end()
	rows := make([]backfill.Chunk, 0, len(all))
	for _, id := range sorted(all) {
		if !filled[id] {
			rows = append(rows, all[id])
		}
	}
	return len(all), inBatches(rows, yield)
}

func inBatches[T any](rows []T, yield func([]T) error) error {
	for batch := range slices.Chunk(rows, batchSize) {
		if err := yield(batch); err != nil {
			return err
		}
	}
	return nil
}

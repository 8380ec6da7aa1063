package backfilltest

import (
	"context"
	"maps"
	"slices"
	"sync"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// AnyHistory is all that the heart asks of a history, and the candles that are written with its outcomes.
type AnyHistory interface {
	backfill.LaunchHistory
	backfill.FinishHistory
	backfill.FillHistory
	backfill.ReconcileHistory
	backfill.RetryHistory
	// WriteChunk is CandleStore's.
	WriteChunk(ctx context.Context, w backfill.ChunkWrite) (recorded bool, err error)
}

var (
	_ AnyHistory           = (*History)(nil)
	_ backfill.CandleStore = (*History)(nil)
)

// History is a history in memory, and the candles. Each call is one step.
type History struct {
	failures

	mu      sync.Mutex
	runs    map[uuid.UUID]*historyRun
	candles map[candleKey]candle.Candle
}

// candleKey names a version of a candle: what one run stored for its token and time.
type candleKey struct {
	runID    uuid.UUID
	token    candle.Token
	openTime int64
}

type historyRun struct {
	attempts   map[int]*historyAttempt
	rolledBack bool
}

// historyAttempt has the first start and end that were written, and of each chunk the outcome of the highest rank, of equal
// ones the first.
type historyAttempt struct {
	started  *backfill.RunRecord
	ended    *backfill.RunRecord
	chunks   map[backfill.ChunkID]backfill.Chunk
	outcomes map[backfill.ChunkID]backfill.Outcome
}

// NewHistory returns an empty history.
func NewHistory() *History {
	return &History{runs: make(map[uuid.UUID]*historyRun), candles: make(map[candleKey]candle.Candle)}
}

// begin fails when the test wants it, and takes the lock, which end releases.
func (h *History) begin(method string) (end func(), err error) {
	if err := h.fail(method); err != nil {
		return nil, err
	}
	h.mu.Lock()
	return h.mu.Unlock, nil
}

func (h *History) run(runID uuid.UUID) *historyRun {
	if h.runs[runID] == nil {
		h.runs[runID] = &historyRun{attempts: make(map[int]*historyAttempt)}
	}
	return h.runs[runID]
}

func (h *History) attempt(runID uuid.UUID, n int) *historyAttempt {
	r := h.run(runID)
	if r.attempts[n] == nil {
		r.attempts[n] = &historyAttempt{
			chunks: make(map[backfill.ChunkID]backfill.Chunk), outcomes: make(map[backfill.ChunkID]backfill.Outcome),
		}
	}
	return r.attempts[n]
}

func (a *historyAttempt) put(run backfill.Run, o backfill.Outcome) {
	a.chunks[o.ChunkID] = backfill.Chunk{ID: o.ChunkID, Token: o.Token, Interval: run.Manifest.Interval, Range: o.Range}
	if o.Status.Rank() > a.outcomes[o.ChunkID].Status.Rank() {
		o.Unrecorded = false
		a.outcomes[o.ChunkID] = o
	}
}

// record is the latest that is known of the run, by attempt and then by phase.
func (r *historyRun) record() (record backfill.RunRecord, ok bool) {
	for _, n := range slices.Backward(slices.Sorted(maps.Keys(r.attempts))) {
		switch a := r.attempts[n]; {
		case a.ended != nil:
			record, ok = *a.ended, true
		case a.started != nil:
			record, ok = *a.started, true
		default:
			continue
		}
		if r.rolledBack {
			record.Status = backfill.StatusRolledBack
		}
		return record, ok
	}
	return record, false
}

// RollBack hides the run.
func (h *History) RollBack(runID uuid.UUID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.run(runID).rolledBack = true
}

// Candles returns how many versions of candles are stored.
func (h *History) Candles() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.candles)
}

// Outcomes returns the outcomes of an attempt, by chunk.
func (h *History) Outcomes(runID uuid.UUID, attempt int) map[backfill.ChunkID]backfill.Outcome {
	h.mu.Lock()
	defer h.mu.Unlock()
	return maps.Clone(h.attempt(runID, attempt).outcomes)
}

// Planned implements backfill.LaunchHistory.
func (h *History) Planned(_ context.Context, run backfill.Run, chunks []backfill.Chunk) error {
	end, err := h.begin("Planned")
	if err != nil {
		return err
	}
	defer end()
	for _, chunk := range chunks {
		h.attempt(run.ID(), run.Attempt).chunks[chunk.ID] = chunk
	}
	return nil
}

// Started implements backfill.LaunchHistory.
func (h *History) Started(_ context.Context, run backfill.Run) error {
	end, err := h.begin("Started")
	if err != nil {
		return err
	}
	defer end()
	if a := h.attempt(run.ID(), run.Attempt); a.started == nil {
		a.started = &backfill.RunRecord{Run: run, Status: backfill.StatusRunning}
	}
	return nil
}

// Finished implements backfill.FinishHistory.
func (h *History) Finished(_ context.Context, record backfill.RunRecord) error {
	end, err := h.begin("Finished")
	if err != nil {
		return err
	}
	defer end()
	if a := h.attempt(record.ID(), record.Attempt); a.ended == nil {
		a.ended = &record
	}
	return nil
}

// RecordOutcomes implements backfill.FillHistory.
func (h *History) RecordOutcomes(_ context.Context, run backfill.Run, outcomes []backfill.Outcome) error {
	end, err := h.begin("RecordOutcomes")
	if err != nil {
		return err
	}
	defer end()
	for _, o := range outcomes {
		h.attempt(run.ID(), run.Attempt).put(run, o)
	}
	return nil
}

// WriteChunk implements backfill.CandleStore.
func (h *History) WriteChunk(_ context.Context, w backfill.ChunkWrite) (recorded bool, err error) {
	end, err := h.begin("WriteChunk")
	if err != nil {
		return false, err
	}
	defer end()
	for _, c := range w.Candles {
		h.candles[candleKey{runID: w.Run.ID(), token: w.Chunk.Token, openTime: c.OpenTime}] = c
	}
	h.attempt(w.Run.ID(), w.Run.Attempt).put(w.Run, w.Outcome)
	return true, nil
}

// Deduplicate implements backfill.CandleStore: all candles are worth storing.
func (h *History) Deduplicate(_ context.Context, _ backfill.Run, _ backfill.Chunk, _ string, candles []candle.Candle) (store []candle.Candle, shadowed int64) {
	return candles, 0
}

// Shadowed implements backfill.FinishHistory: other runs serve none of the run's candles.
func (h *History) Shadowed(context.Context, backfill.Run) (int64, error) {
	return 0, h.fail("Shadowed")
}

package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// manyOutcomes is a ledger with two attempts of the same chunks, none of which the history has.
type manyOutcomes struct {
	FinishLedger
	state    LedgerState
	chunks   int
	archived bool
}

func (l *manyOutcomes) State(context.Context, uuid.UUID) (LedgerState, error) { return l.state, nil }
func (l *manyOutcomes) Freeze(context.Context, uuid.UUID, int) error          { return nil }
func (l *manyOutcomes) Settle(context.Context, uuid.UUID, RunRecord) error    { return nil }
func (l *manyOutcomes) Archive(context.Context, uuid.UUID, int) (err error) {
	l.archived = true
	return nil
}
func (l *manyOutcomes) Outcomes(_ context.Context, _ uuid.UUID, attempt int, yield func(Outcome) error) error {
	for i := range l.chunks {
		chunk := NewChunk(candle.Token{Chain: candle.Solana, Address: fmt.Sprint(i / 3)}, candle.Interval1m, candle.Range{From: int64(i), To: int64(i) + 60})
		err := yield(Outcome{ChunkID: chunk.ID, Token: chunk.Token, Status: OutcomeSuccess, Stats: Stats{Fetched: int64(attempt), Inserted: int64(attempt)}, Unrecorded: true})
		if err != nil {
			return err
		}
	}
	return nil
}

type countingHistory struct {
	FinishHistory
	batches  []int
	chunks   map[ChunkID]bool
	finished int
	// failAt is the call that fails, from 1.
	failAt   int
	shadowed int64
	ended    RunRecord
}

func (h *countingHistory) RecordOutcomes(_ context.Context, _ Run, outcomes []Outcome) error {
	h.batches = append(h.batches, len(outcomes))
	if len(h.batches) == h.failAt {
		return errors.New("away")
	}
	for _, o := range outcomes {
		h.chunks[o.ChunkID] = true
	}
	return nil
}

func (h *countingHistory) Finished(_ context.Context, record RunRecord) error {
	h.finished++
	h.ended = record
	return nil
}

func (h *countingHistory) Shadowed(context.Context, Run) (int64, error) { return h.shadowed, nil }

func finishMany(t *testing.T, history *countingHistory) *manyOutcomes {
	t.Helper()
	run := Run{Attempt: 2, PlannedChunks: 12_000, RetriedChunks: 12_000}
	ledger := &manyOutcomes{state: LedgerState{Run: run}, chunks: run.PlannedChunks}
	history.chunks = map[ChunkID]bool{}
	f := Finisher{Ledger: ledger, History: history, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
	require.NoError(t, f.Finish(t.Context(), run.ID(), 2), "a history that is away is a warning")
	return ledger
}

func TestFinishWritesWhatTheHistoryLacksInBatches(t *testing.T) {
	t.Parallel()
	history := &countingHistory{}
	ledger := finishMany(t, history)
	require.Equal(t, []int{unrecordedBatch, unrecordedBatch, 2_000}, history.batches, "of each chunk the latest attempt, once")
	require.Len(t, history.chunks, 12_000)
	require.Equal(t, 1, history.finished)
	require.True(t, ledger.archived)
}

func TestFinishStaysActiveWhenABatchWasNotWritten(t *testing.T) {
	t.Parallel()
	history := &countingHistory{failAt: 2}
	ledger := finishMany(t, history)
	require.Len(t, history.batches, 2, "a history that is away is not asked again and again")
	require.Zero(t, history.finished, "once the history says that the run is over, it has everything else")
	require.False(t, ledger.archived)
}

// A worker that was killed after the insert leaves candles that its chunk's outcome does not count.
func TestPostBatchDedupCountsNoMoreThanTheOutcomes(t *testing.T) {
	t.Parallel()
	for shadowed, want := range map[int64]Stats{3: {Fetched: 10, Inserted: 7, Deduplicated: 3, Shadowed: 3}, 12: {Fetched: 10, Deduplicated: 10, Shadowed: 10}} {
		history := &countingHistory{chunks: map[ChunkID]bool{}, shadowed: shadowed}
		run := Run{Attempt: 1, PlannedChunks: 10}
		run.Manifest.DedupMode = manifest.DedupPostBatch
		ledger := &manyOutcomes{state: LedgerState{Run: run}, chunks: run.PlannedChunks}
		f := Finisher{Ledger: ledger, History: history, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
		require.NoError(t, f.Finish(t.Context(), run.ID(), 1))
		require.Equal(t, want, history.ended.Stats)
	}
}

// oldOutcomes is a ledger with the outcome of a worker from before shadowed and skipped candles were counted apart, and one from after.
type oldOutcomes struct{ manyOutcomes }

func (l *oldOutcomes) Outcomes(_ context.Context, _ uuid.UUID, _ int, yield func(Outcome) error) error {
	for id, stats := range map[ChunkID]string{
		"old": `{"fetched": 9, "inserted": 5, "rejected": 1, "deduplicated": 3}`,
		"new": `{"fetched": 9, "inserted": 5, "rejected": 1, "deduplicated": 3, "shadowed": 2, "skipped": 1}`,
	} {
		o := Outcome{ChunkID: id, Status: OutcomeSuccess}
		if err := json.Unmarshal([]byte(stats), &o.Stats); err != nil {
			return err
		}
		if err := yield(o); err != nil {
			return err
		}
	}
	return nil
}

// What an older worker left open stays open where it may be either; without inline dedup it can only be skipped.
func TestWhatOlderWorkersDidNotTellApartIsNotMadeUp(t *testing.T) {
	t.Parallel()
	for mode, want := range map[manifest.DedupMode]Stats{
		manifest.DedupInline:    {Fetched: 18, Inserted: 10, Rejected: 2, Deduplicated: 6, Shadowed: 2, Skipped: 1},
		manifest.DedupNone:      {Fetched: 18, Inserted: 10, Rejected: 2, Deduplicated: 6, Shadowed: 2, Skipped: 4},
		manifest.DedupPostBatch: {Fetched: 18, Inserted: 6, Rejected: 2, Deduplicated: 10, Shadowed: 6, Skipped: 4},
	} {
		history := &countingHistory{chunks: map[ChunkID]bool{}, shadowed: 4}
		run := Run{Attempt: 1, PlannedChunks: 2}
		run.Manifest.DedupMode = mode
		f := Finisher{Ledger: &oldOutcomes{manyOutcomes{state: LedgerState{Run: run}}}, History: history, Logger: slog.New(slog.DiscardHandler), Now: time.Now}
		require.NoError(t, f.Finish(t.Context(), run.ID(), 1))
		require.Equal(t, want, history.ended.Stats, mode)
		require.True(t, want.Balanced(), mode)
		require.Equal(t, mode != manifest.DedupInline, want.SplitKnown(), mode)
	}
}

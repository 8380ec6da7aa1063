package backfill_test

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/backfill/backfilltest"
	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// harness is the processes of a deployment over stores in memory. Its clock stands still but where somebody waits.
type harness struct {
	ledger     *backfilltest.Ledger
	history    *backfilltest.History
	queue      *backfilltest.Queue
	source     *scriptedSource
	worker     *backfill.Worker
	finisher   *backfill.Finisher
	launcher   *backfill.Launcher
	reconciler *backfill.Reconciler
	canceller  *backfill.Canceller
	retrier    *backfill.Retrier
	logs       *logBuffer
}

// withHarness runs a test in a bubble of its own time.
func withHarness(t *testing.T, test func(t *testing.T, h *harness)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newHarness()) })
}

func newHarness() *harness {
	h := &harness{
		ledger: backfilltest.NewLedger(time.Now), history: backfilltest.NewHistory(), queue: backfilltest.NewQueue(time.Now),
		source: &scriptedSource{}, logs: &logBuffer{},
	}
	logger := slog.New(slog.NewTextHandler(h.logs, nil))
	h.finisher = &backfill.Finisher{Ledger: h.ledger, History: h.history, Logger: logger, Now: time.Now}
	h.worker = &backfill.Worker{
		Ledger: h.ledger, History: h.history, Queue: h.queue, Logger: logger, Leases: &backfill.Leases{Ledger: h.ledger, Logger: logger},
		Filler: &backfill.Filler{
			Source: func(string, *manifest.Manifest) (backfill.Source, error) { return h.source, nil },
			Store:  h.history, Worker: "w", Version: "v", Clock: backfilltest.HostClock(time.Now),
		},
	}
	h.launcher = &backfill.Launcher{Ledger: h.ledger, History: h.history, Queue: h.queue, Finisher: h.finisher, Logger: logger}
	h.reconciler = &backfill.Reconciler{
		Ledger: h.ledger, History: h.history, Queue: h.queue, Launcher: h.launcher, Finisher: h.finisher, Name: "r", Logger: logger, Now: time.Now,
	}
	h.canceller = &backfill.Canceller{
		Ledger: h.ledger, History: h.history, Finisher: h.finisher, Name: "c", Logger: logger, Now: time.Now,
	}
	h.retrier = &backfill.Retrier{Ledger: h.ledger, History: h.history, Launcher: h.launcher, Finisher: h.finisher, Logger: logger}
	return h
}

// launched returns a run that was launched, with its chunks.
func (h *harness) launched(t *testing.T, chunks int) (backfill.Run, []backfill.Chunk) {
	t.Helper()
	run, plan := backfilltest.NewRun(chunks)
	require.NoError(t, h.launcher.Launch(t.Context(), run, plan, false))
	return run, plan
}

// take runs a chunk's task once, as a worker does.
func (h *harness) take(t *testing.T, run backfill.Run, chunk backfill.Chunk) error {
	t.Helper()
	return h.worker.Work(t.Context(), backfilltest.TaskOf(run, chunk), chunk)
}

// work runs tasks until none is left.
func (h *harness) work(t *testing.T) {
	t.Helper()
	require.NoError(t, h.queue.Work(t.Context(), h.worker, h.finisher))
}

func (h *harness) round(t *testing.T) {
	t.Helper()
	require.NoError(t, h.reconciler.Round(t.Context()))
}

func (h *harness) state(t *testing.T, run backfill.Run) backfill.LedgerState {
	t.Helper()
	state, err := h.ledger.State(t.Context(), run.ID())
	require.NoError(t, err)
	return state
}

// record is the run's row.
func (h *harness) record(t *testing.T, run backfill.Run) backfill.RunRecord {
	t.Helper()
	record, err := h.history.Run(t.Context(), run.ID())
	require.NoError(t, err)
	return record
}

// requireRepairs: reconcilers did so much of each for the run.
func (h *harness) requireRepairs(t *testing.T, run backfill.Run, want map[backfill.RepairAction]int64) {
	t.Helper()
	got, err := h.ledger.Repairs(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, want, got)
}

// requireComplete: the run has ended well with one candle of each chunk, counted and stored once, and left the ledger.
func (h *harness) requireComplete(t *testing.T, run backfill.Run) {
	t.Helper()
	record := h.record(t, run)
	require.Equal(t, backfill.StatusCompleted, record.Status, record.ErrorMessage)
	require.EqualValues(t, run.PlannedChunks, record.Stats.Inserted)
	require.True(t, record.Stats.Balanced())
	require.Equal(t, run.PlannedChunks, h.history.Candles())
	active, err := h.ledger.ActiveRuns(t.Context())
	require.NoError(t, err)
	require.NotContains(t, active, run.ID())
}

// outcome is what the chunk has ended as in the ledger; nil when it is pending.
func (h *harness) outcome(t *testing.T, run backfill.Run, chunk backfill.Chunk) (found *backfill.Outcome) {
	t.Helper()
	require.NoError(t, h.ledger.Outcomes(t.Context(), run.ID(), run.Attempt, func(o backfill.Outcome) error {
		if o.ChunkID == chunk.ID {
			found = &o
		}
		return nil
	}))
	return found
}

// scriptedSource has one candle at the beginning of each range, which costs 10 credits, where it is not set to fail.
type scriptedSource struct {
	mu     sync.Mutex
	errs   []error // of the next calls, in turn
	always error   // of all others
	calls  int
	// before is called at the beginning of each call.
	before func(ctx context.Context)
}

func (*scriptedSource) Name() string                                         { return "birdeye" }
func (*scriptedSource) Cost(candle.Interval, candle.Range) (c backfill.Cost) { return c }
func (*scriptedSource) Cut(candle.Interval) backfill.Cut                     { return backfill.Pages(5_000) }
func (*scriptedSource) PageSize() int                                        { return 5_000 }
func (*scriptedSource) SettleDelay() time.Duration                           { return 0 }
func (*scriptedSource) Supports(candle.Chain, candle.Interval) error         { return nil }

// Candles yields what each call costs, and its error or candle.
func (s *scriptedSource) Candles(ctx context.Context, _ candle.Token, _ candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		page, err := backfill.Page{APICalls: 1, Credits: 10}, s.next()
		if s.before != nil {
			s.before(ctx)
		}
		if err == nil {
			err = ctx.Err()
		}
		if err == nil {
			page.Candles = []candle.Candle{{OpenTime: r.From, Open: 1, High: 1, Low: 1, Close: 1, Volume: 1}}
		}
		yield(page, err)
	}
}

func (s *scriptedSource) next() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls++
	if len(s.errs) > 0 {
		err, s.errs = s.errs[0], s.errs[1:]
		return err
	}
	return s.always
}

var errTest = errors.New("x")

func classed(class backfill.Class) error { return backfill.WithClass(class, errTest) }

// logBuffer keeps what is logged.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String is all that was logged.
func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// givenUp reports whether the chunk has failed for good.
func givenUp(err error) bool {
	_, ok := errors.AsType[*backfill.GivenUpError](err)
	return ok
}

package wiring_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/tasks"
)

// crashingProcess is a process that dies at a point: from there on nothing that it calls has any effect.
type crashingProcess struct {
	point string
	dead  bool
}

var errDead = errors.New("the process is dead")

func (m *crashingProcess) reach(point string) error {
	m.dead = m.dead || point == m.point
	if m.dead {
		return errDead
	}
	return nil
}

// crashingLedger, crashingStore and mortalQueue are what a crashing worker sees.
type crashingLedger struct {
	backfill.FillLedger
	*crashingProcess
}

func (l crashingLedger) StillWanted(ctx context.Context, e backfill.Execution) (bool, error) {
	if err := l.reach("before the insert"); err != nil {
		return false, err
	}
	return l.FillLedger.StillWanted(ctx, e)
}

func (l crashingLedger) HandBack(ctx context.Context, e backfill.Execution, class backfill.Class, spent backfill.Cost) (int, error) {
	if l.dead {
		return 0, errDead
	}
	return l.FillLedger.HandBack(ctx, e, class, spent)
}

func (l crashingLedger) Record(ctx context.Context, task backfill.Task, epoch int64, o backfill.Outcome) (backfill.Recorded, error) {
	if err := l.reach("between insert and outcome"); err != nil {
		return backfill.Recorded{}, err
	}
	return l.FillLedger.Record(ctx, task, epoch, o)
}

type crashingQueue struct {
	backfill.Queue
	*crashingProcess
}

func (q crashingQueue) EnqueueFinish(ctx context.Context, run backfill.Run) error {
	if err := q.reach("between outcome and signal"); err != nil {
		return err
	}
	return q.Queue.EnqueueFinish(ctx, run)
}

// takeUp runs the task of a chunk as a worker would, up to the point where the worker dies. The acknowledgement never
// reaches the queue.
func (w *harness) takeUp(t *testing.T, run backfill.Run, chunk backfill.Chunk, point string) error {
	t.Helper()
	m := &crashingProcess{point: point}
	h := w.handler()
	h.Worker.Ledger, h.Worker.Queue = crashingLedger{w.Ledger, m}, crashingQueue{w.Queue, m}
	return h.ProcessTask(t.Context(), w.task(t, run, chunk))
}

func (w *harness) task(t *testing.T, run backfill.Run, chunk backfill.Chunk) *asynq.Task {
	t.Helper()
	info, err := w.inspector.GetTaskInfo(tasks.QueueIngest, fmt.Sprintf("%s:%d:%s", run.ID(), run.Attempt, chunk.ID))
	require.NoError(t, err)
	return asynq.NewTask(info.Type, info.Payload)
}

// expireLeases lets the time of all leases of the attempt pass.
func (w *harness) expireLeases(t *testing.T, run backfill.Run) {
	t.Helper()
	key := fmt.Sprintf("quantbot:{%s}:a%d:lease", run.ID(), run.Attempt)
	for _, chunk := range w.Redis.ZRange(t.Context(), key, 0, -1).Val() {
		require.NoError(t, w.Redis.ZAddXX(t.Context(), key, redis.Z{Score: 1, Member: chunk}).Err())
	}
}

func (w *harness) count(t *testing.T, table string) string {
	t.Helper()
	return w.env.ClickHouse(t, "SELECT count() FROM "+w.env.Database+"."+table)
}

// Rule R5, R6 and R9: wherever a worker dies, another one ends its chunk, and nothing is counted twice. What the dead one
// had made durable is not fetched again.
func TestAWorkerMayDieAnywhere(t *testing.T) {
	t.Parallel()
	for point, fetches := range map[string]int{
		"before the insert":          2,
		"between insert and outcome": 1,
		"between outcome and signal": 1,
		"between signal and ack":     1,
	} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			run, chunks := newRun(t, 1)
			require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
			_ = w.takeUp(t, run, chunks[0], point) // nobody hears the error of a dead process
			w.expireLeases(t, run)
			w.round(t) // also finishes what nobody signalled
			requireExact(t, w.work(t, run), 1)
			require.Equal(t, fetches, w.source.times(chunks[0].Range))
			require.Equal(t, "1\n", w.count(t, "ohlcv_candles"))
		})
	}
}

// asynq keeps the task of a killed worker for two minutes; the lease ends after seconds.
func TestTheChunkOfADeadWorkerGoesToAnother(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	stuck := &gate{Source: w.source, entered: make(chan struct{}, 2), open: make(chan struct{})}
	victim := w.handler()
	victim.Worker.Filler.Source = only(stuck)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() {
		served <- tasks.Serve(ctx, tasks.ServerConfig{Redis: w.conn, Concurrency: 2, ShutdownTimeout: 5 * time.Second}, victim, nil)
	}()
	<-stuck.entered
	<-stuck.entered // both tasks are active in the queue, and stay so

	require.NoError(t, w.reconciler.Look(t.Context()))
	w.expireLeases(t, run)
	require.NoError(t, w.reconciler.Look(t.Context()))
	pending := func() int {
		info, err := w.inspector.GetQueueInfo(tasks.QueueIngest)
		require.NoError(t, err)
		return info.Pending
	}
	require.Zero(t, pending(), "a lease that ran out once may still be renewed")
	require.NoError(t, w.reconciler.Look(t.Context()))
	require.Equal(t, 2, pending())
	require.NoError(t, w.reconciler.Look(t.Context()))
	require.Equal(t, 2, pending(), "once")
	repairs, err := w.Ledger.Repairs(t.Context(), run.ID())
	require.NoError(t, err)
	require.EqualValues(t, 2, repairs[backfill.RepairOrphan])

	requireExact(t, w.work(t, run), 2)
	before := w.count(t, "ohlcv_candle_versions")
	close(stuck.open) // the zombies wake up after the run has ended, and change nothing
	cancel()
	require.NoError(t, <-served)
	require.Equal(t, before, w.count(t, "ohlcv_candle_versions"))
	require.Equal(t, 1, w.source.times(chunks[0].Range)-1, "by the zombie and by the other")
	late, err := w.Ledger.Late(t.Context(), run.ID())
	require.NoError(t, err)
	require.Empty(t, late)
}

// gate is a source that stands still between being asked and answering, as a stopped process does.
type gate struct {
	backfill.Source
	entered chan struct{}
	open    chan struct{}
}

func (g *gate) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		g.entered <- struct{}{}
		<-g.open
		g.Source.Candles(ctx, token, interval, r)(yield)
	}
}

// A process that is stopped between the last question and the insert wakes up when its run is long over.
func TestAZombieThatStoresTooLateChangesNothing(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 1)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	zombie := w.handler()
	frozen := &frozenStore{CandleStore: w.writer, entered: make(chan struct{}), open: make(chan struct{})}
	zombie.Worker.Filler.Store = frozen
	ended := make(chan error, 1)
	task := w.task(t, run, chunks[0])
	go func() { ended <- zombie.ProcessTask(t.Context(), task) }()
	<-frozen.entered
	w.expireLeases(t, run)
	requireExact(t, w.work(t, run), 1)
	close(frozen.open)
	require.NoError(t, <-ended)
	require.Equal(t, "1\n", w.count(t, "ohlcv_candles"))
	record, err := w.History.Run(t.Context(), run.ID())
	require.NoError(t, err)
	requireExact(t, record, 1)
	rows, err := w.Reports().Tasks(t.Context(), run.ID(), report.TaskFilter{}, 10)
	require.NoError(t, err)
	require.Len(t, rows, 1)
}

type frozenStore struct {
	backfill.CandleStore
	entered, open chan struct{}
}

func (s *frozenStore) WriteChunk(ctx context.Context, write backfill.ChunkWrite) (bool, error) {
	s.entered <- struct{}{}
	<-s.open
	return s.CandleStore.WriteChunk(ctx, write)
}

// A worker whose clock is ahead takes tasks from living workers. The chunk stays with the one that has it.
func TestAChunkInWorkIsNotTakenTwice(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 1)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	task := w.task(t, run, chunks[0])
	slow := w.handler()
	stuck := &gate{Source: w.source, entered: make(chan struct{}), open: make(chan struct{})}
	slow.Worker.Filler.Source = only(stuck)
	ended := make(chan error, 1)
	go func() { ended <- slow.ProcessTask(t.Context(), task) }()
	<-stuck.entered
	err := w.handler().ProcessTask(t.Context(), task)
	require.Equal(t, backfill.ClassHeld, backfill.ClassOf(err))
	close(stuck.open)
	require.NoError(t, <-ended)
	require.Equal(t, 1, w.source.times(chunks[0].Range))
	require.NoError(t, w.handler().ProcessTask(t.Context(), task), "done: acknowledged without a fetch")
	require.Equal(t, 1, w.source.times(chunks[0].Range))
	requireExact(t, w.work(t, run), 1)
}

// A chunk that kills every worker ends as failed instead of going round for ever; the others are there.
func TestAChunkThatKillsEveryWorkerFails(t *testing.T) {
	t.Parallel()
	w := setup(t)
	run, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	for range 10 {
		require.Error(t, w.takeUp(t, run, chunks[0], "before the insert"))
		w.expireLeases(t, run)
	}
	record := w.work(t, run)
	require.Equal(t, backfill.StatusFailed, record.Status)
	require.Contains(t, record.ErrorMessage, "10 workers died")
	require.EqualValues(t, 1, record.Stats.Inserted)
	require.Equal(t, 10, w.source.times(chunks[0].Range))
}

// waitingSource answers only when its caller gives up.
type waitingSource struct {
	backfill.Source
	entered chan struct{}
}

func (s *waitingSource) Candles(ctx context.Context, _ candle.Token, _ candle.Interval, _ candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		s.entered <- struct{}{}
		<-ctx.Done()
		yield(backfill.Page{}, ctx.Err())
	}
}

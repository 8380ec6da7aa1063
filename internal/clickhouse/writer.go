package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// Writer stores the chunks of one process in common inserts. Chunks that arrive while an insert is on its way share the
// next one, so there is no timer: with nothing to do a chunk is written at once, alone, and the busier the process, the
// larger the inserts. A chunk is acknowledged when its own candles are durable, and a chunk that cannot be stored fails
// alone.
//
// It implements backfill.CandleStore and is safe for concurrent use. Its owner calls Close, which waits.
type Writer struct {
	db *DB
	// room bounds what waits and what is on its way, in bytes. Whoever finds none waits, in order: that is how a slow server
	// slows the fetchers down.
	room *semaphore.Weighted
	// ctx ends with Close.
	ctx    context.Context //nolint:containedctx // inserts belong to no single caller: each may go, the others' rows must arrive
	cancel context.CancelFunc
	// lastWait is how long whoever was cancelled still waits for an insert that is under way.
	lastWait time.Duration

	mu       sync.Mutex
	forming  []*member
	waiting  int64 // the weight of those
	flushing int
	closed   bool
	flushes  sync.WaitGroup
}

var _ backfill.CandleStore = (*Writer)(nil)

const (
	// maxFlushes is how many inserts are on their way at once: while the server sorts and writes one, the next is built.
	maxFlushes = 2
	// overlapFrom is how much must wait for a second one, in bytes: about 34,000 candles. Below that the cost of an insert
	// is the insert, not its rows, and waiting for company is faster for all.
	overlapFrom = 8 << 20
	// maxWriting bounds the memory of chunks that are being written. That is about 67,000 candles: larger inserts are
	// hardly faster.
	maxWriting = 16 << 20
	// candleBytes is what a candle takes until it is sent: itself, its place in our columns and in the driver's.
	candleBytes = 56 + 96 + 96
	// chunkBytes is what a chunk takes beside its candles.
	chunkBytes = 2 << 10
	// lastWait is less than what a stopping worker leaves its tasks.
	lastWait = time.Second
)

// errWriterClosed means that a chunk came after Close.
var errWriterClosed = errors.New("the writer is closed")

// member is a chunk in a common insert. Once it has joined, it belongs to the writer, until done is closed.
type member struct {
	write  backfill.ChunkWrite
	weight int64
	// done is closed when the result below is there.
	done     chan struct{}
	recorded bool
	err      error
}

// NewWriter returns a writer over the database, which stays the caller's to close.
func NewWriter(db *DB) *Writer {
	w := &Writer{db: db, room: semaphore.NewWeighted(maxWriting), lastWait: lastWait}
	w.ctx, w.cancel = context.WithCancel(context.Background())
	return w
}

// Close refuses further chunks, interrupts inserts on which nobody waits any more and returns when they have ended. Call
// it when all calls of WriteChunk have returned: those that have not return an error.
func (w *Writer) Close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.cancel()
	w.flushes.Wait()
}

// Deduplicate is DB's.
func (w *Writer) Deduplicate(ctx context.Context, run backfill.Run, chunk backfill.Chunk, source string, candles []candle.Candle) (store []candle.Candle, shadowed int64) {
	return w.db.Deduplicate(ctx, run, chunk, source, candles)
}

// WriteChunk makes the chunk's candles durable, then its quarantine and its outcome row, together with other chunks. Trouble with
// either of the latter is logged and leads to recorded = false: the candles are there, and what is missing of the audit trail is
// written later (R7).
//
// An error means that candles may be missing; some of them may be there, because each month commits by itself. Writing
// the chunk again is always right. It is backfill.ClassStore, except for candles that no column can hold.
//
// When ctx ends before the insert has begun, the chunk
// is taken out of it. An insert that is on its way is waited for, for a second: what becomes of it is better known. After
// that the chunk may still be stored, as with any insert that is interrupted.
func (w *Writer) WriteChunk(ctx context.Context, write backfill.ChunkWrite) (recorded bool, err error) {
	if err := checkTimes(write); err != nil {
		return false, backfill.WithClass(backfill.ClassPermanent, err)
	}
	m := &member{write: write, weight: weightOf(write), done: make(chan struct{})}
	if err := w.join(ctx, m); err != nil {
		return false, err
	}
	select {
	case <-m.done:
		return m.recorded, m.err
	case <-ctx.Done():
	}
	if w.withdraw(m) {
		return false, w.waitError(ctx, write.Chunk.ID)
	}
	select {
	case <-m.done:
		return m.recorded, m.err
	case <-time.After(w.lastWait):
		return false, w.waitError(ctx, write.Chunk.ID)
	}
}

// RecordOutcomes does what DB.RecordOutcomes does, together with what other chunks leave: ten thousand chunks that fail are no
// ten thousand inserts.
func (w *Writer) RecordOutcomes(ctx context.Context, run backfill.Run, outcomes []backfill.Outcome) error {
	var waiting errgroup.Group
	for _, outcome := range outcomes {
		waiting.Go(func() error {
			chunk := backfill.Chunk{ID: outcome.ChunkID, Token: outcome.Token, Interval: run.Manifest.Interval, Range: outcome.Range}
			recorded, err := w.WriteChunk(ctx, backfill.ChunkWrite{Run: run, Chunk: chunk, Outcome: outcome})
			if err == nil && !recorded { // why has been logged
				err = backfill.WithClass(backfill.ClassStore, fmt.Errorf("write the outcome of chunk %s of run %s", outcome.ChunkID, run.ID()))
			}
			return err
		})
	}
	return waiting.Wait()
}

// weightOf is what the chunk takes of the room; the largest may take all of it.
func weightOf(write backfill.ChunkWrite) int64 {
	return min(chunkBytes+candleBytes*int64(len(write.Candles)+2*len(write.Rejected)), maxWriting)
}

func (w *Writer) waitError(ctx context.Context, chunk backfill.ChunkID) error {
	return w.db.Failed(fmt.Sprintf("wait for the insert of chunk %s", chunk), ctx.Err())
}

// join puts the chunk into the insert that is forming, and sends that if nothing holds it up.
func (w *Writer) join(ctx context.Context, m *member) error {
	if err := w.room.Acquire(ctx, m.weight); err != nil {
		return w.waitError(ctx, m.write.Chunk.ID)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		w.room.Release(m.weight)
		return w.db.Failed(fmt.Sprintf("insert chunk %s", m.write.Chunk.ID), errWriterClosed)
	}
	w.forming = append(w.forming, m)
	w.waiting += m.weight
	if w.due() {
		w.flushing++
		w.flushes.Go(w.flushAll)
	}
	return nil
}

// due reports whether what has formed is worth an insert now.
func (w *Writer) due() bool {
	return len(w.forming) > 0 && (w.flushing == 0 || w.flushing < maxFlushes && w.waiting >= overlapFrom)
}

// withdraw takes the chunk out of the insert that is forming, and reports whether it was still there.
func (w *Writer) withdraw(m *member) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.forming, m)
	if i < 0 {
		return false
	}
	w.forming = slices.Delete(w.forming, i, i+1)
	w.waiting -= m.weight
	w.room.Release(m.weight)
	return true
}

// flushAll writes what has formed, again and again while that is due.
func (w *Writer) flushAll() {
	for members := w.take(); len(members) > 0; members = w.take() {
		w.flush(members)
	}
}

// take ends a flush and begins the next with what has formed, if that is due.
func (w *Writer) take() []*member {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.flushing--
	if !w.due() {
		return nil
	}
	members := w.forming
	w.forming, w.waiting = nil, 0
	w.flushing++
	return members
}

// flush makes the candles durable, then quarantine and outcome rows of the chunks whose candles are.
func (w *Writer) flush(members []*member) {
	writes := make([]backfill.ChunkWrite, len(members))
	for i, m := range members {
		writes[i] = m.write
	}
	errs := w.db.insertEach(writes, func(part []backfill.ChunkWrite) error { return w.db.insertCandles(w.ctx, part) })
	stored := writes[:0]
	for i, m := range members {
		if m.err = errs[i]; m.err == nil {
			stored = append(stored, m.write)
		}
	}
	recorded := w.db.insertAudit(w.ctx, stored)
	for _, m := range members {
		if m.err == nil {
			m.recorded, recorded = recorded[0], recorded[1:]
		}
		m.write = backfill.ChunkWrite{} // the candles are not needed any more, whoever still holds the member
		w.room.Release(m.weight)
		close(m.done)
	}
}

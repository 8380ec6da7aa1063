package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/local/localtest"
	"quantbot/internal/secret"
)

// heldWriter is a writer whose inserts do not begin before release is called: what is written until then shares one.
func heldWriter(t testing.TB, db *DB) (w *Writer, release func()) {
	t.Helper()
	w = NewWriter(db)
	t.Cleanup(w.Close)
	w.flushing = maxFlushes
	return w, func() {
		for range maxFlushes {
			w.flushes.Go(w.flushAll)
		}
	}
}

// tokenWrite is a day of one-minute candles of a token of its own.
func tokenWrite(run backfill.Run, index int) backfill.ChunkWrite {
	w := newWrite(run, minutes(1_440, float64(index+1)))
	w.Chunk = backfill.NewChunk(candle.Token{Chain: candle.Solana, Address: fmt.Sprintf("token%038d", index)}, run.Manifest.Interval, w.Chunk.Range)
	w.Outcome = succeeded(w.Chunk, w.Outcome.Stats)
	return w
}

type written struct {
	recorded bool
	err      error
}

// writeAll writes each chunk in a goroutine of its own; wait returns what became of each.
func writeAll(ctx context.Context, w *Writer, writes []backfill.ChunkWrite) (wait func() []written) {
	results := make([]written, len(writes))
	var writing sync.WaitGroup
	for i := range writes {
		writing.Go(func() { results[i].recorded, results[i].err = w.WriteChunk(ctx, writes[i]) })
	}
	return func() []written { writing.Wait(); return results }
}

// eventuallyForming waits until so many chunks wait for the next insert.
func eventuallyForming(t testing.TB, w *Writer, n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.forming) == n
	}, 2*time.Minute, time.Millisecond)
}

// storedCandles counts the candles of the run's token, and whether they are what the chunk had.
func storedCandles(t testing.TB, db *DB, w backfill.ChunkWrite) uint64 {
	t.Helper()
	return scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions FINAL WHERE ingestion_run_id = {run:UUID} AND token_address = {token:String} AND close = {close:Float64}",
		named("run", w.Run.ID()), named("token", w.Chunk.Token.Address), named("close", w.Candles[0].Close))
}

func outcomeRows(t testing.TB, db *DB, runID uuid.UUID) uint64 {
	t.Helper()
	return scalar[uint64](t, db, "SELECT count() FROM ohlcv_ingestion_tasks FINAL WHERE run_id = {run:UUID} AND status = 'success'", named("run", runID))
}

func TestChunksShareAnInsert(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	mustExec(t, db, "SYSTEM STOP MERGES ohlcv_candle_versions")
	mustExec(t, db, "SYSTEM STOP MERGES ohlcv_ingestion_tasks")
	w, release := heldWriter(t, db)
	run := newRun(0)
	writes := make([]backfill.ChunkWrite, 40)
	for i := range writes {
		writes[i] = tokenWrite(run, i)
	}
	wait := writeAll(t.Context(), w, writes)
	eventuallyForming(t, w, len(writes))
	release()
	for i, result := range wait() {
		require.NoError(t, result.err)
		require.True(t, result.recorded)
		require.EqualValues(t, 1_440, storedCandles(t, db, writes[i]))
	}
	require.EqualValues(t, len(writes), outcomeRows(t, db, run.ID()))
	for _, table := range []string{"ohlcv_candle_versions", "ohlcv_ingestion_tasks"} {
		require.EqualValues(t, 1, scalar[uint64](t, db, "SELECT count() FROM system.parts WHERE active AND database = currentDatabase() AND table = {table:String}", named("table", table)), table)
	}
}

func TestAloneChunkIsWrittenAtOnce(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	w := NewWriter(db)
	t.Cleanup(w.Close)
	write := tokenWrite(newRun(0), 0)
	recorded, err := w.WriteChunk(t.Context(), write)
	require.NoError(t, err)
	require.True(t, recorded)
	require.EqualValues(t, 1_440, storedCandles(t, db, write))
}

func TestBadChunkFailsAlone(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	mustExec(t, db, "ALTER TABLE ohlcv_candle_versions ADD CONSTRAINT superstition CHECK close != 13")
	w, release := heldWriter(t, db)
	run := newRun(0)
	writes := make([]backfill.ChunkWrite, 16) // the close of the one at 12 is 13
	for i := range writes {
		writes[i] = tokenWrite(run, i)
	}
	impossible := tokenWrite(run, 100)
	impossible.Candles[7].OpenTime = -60

	wait := writeAll(t.Context(), w, append(slices.Clone(writes), impossible))
	eventuallyForming(t, w, len(writes)) // what no column can hold never joins
	release()
	results := wait()
	require.Equal(t, backfill.ClassPermanent, backfill.ClassOf(results[16].err))
	for i, write := range writes {
		if i == 12 {
			require.Equal(t, backfill.ClassStore, backfill.ClassOf(results[i].err))
			require.ErrorContains(t, results[i].err, string(write.Chunk.ID))
			require.Zero(t, storedCandles(t, db, write))
			continue
		}
		require.NoError(t, results[i].err)
		require.True(t, results[i].recorded)
		require.EqualValues(t, 1_440, storedCandles(t, db, write))
	}
	require.EqualValues(t, 15, outcomeRows(t, db, run.ID()), "a chunk without candles has no success")
}

// R7: trouble with the audit trail fails no candles, and trouble with one outcome row no other.
func TestBadOutcomeRowStaysAlone(t *testing.T) {
	t.Parallel()
	db, logs := openMigrated(t)
	mustExec(t, db, "ALTER TABLE ohlcv_ingestion_tasks ADD CONSTRAINT superstition CHECK executions != 13")
	w, release := heldWriter(t, db)
	run := newRun(0)
	writes := make([]backfill.ChunkWrite, 5)
	for i := range writes {
		writes[i] = tokenWrite(run, i)
	}
	writes[3].Outcome.Executions = 13
	wait := writeAll(t.Context(), w, writes)
	eventuallyForming(t, w, len(writes))
	release()
	for i, result := range wait() {
		require.NoError(t, result.err)
		require.Equal(t, i != 3, result.recorded)
		require.EqualValues(t, 1_440, storedCandles(t, db, writes[i]))
	}
	require.Contains(t, logs.String(), "chunk_id="+string(writes[3].Chunk.ID))
	require.NotContains(t, logs.String(), "chunk_id="+string(writes[2].Chunk.ID))
}

func TestCancelledChunkLeavesTheGroup(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	w, release := heldWriter(t, db)
	run := newRun(0)
	stays, leaves := tokenWrite(run, 0), tokenWrite(run, 1)
	wait := writeAll(t.Context(), w, []backfill.ChunkWrite{stays})
	ctx, cancel := context.WithCancel(t.Context())
	waitLeaving := writeAll(ctx, w, []backfill.ChunkWrite{leaves})
	eventuallyForming(t, w, 2)
	cancel()
	require.Equal(t, backfill.ClassInterrupted, backfill.ClassOf(waitLeaving()[0].err))
	release()
	require.NoError(t, wait()[0].err)
	require.EqualValues(t, 1_440, storedCandles(t, db, stays))
	require.Zero(t, storedCandles(t, db, leaves))
	require.True(t, w.room.TryAcquire(maxWriting), "all room is free again")
}

// A chunk whose insert is on its way when its task is interrupted hears what became of it.
func TestCancelledChunkOnItsWayHearsTheEnd(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	w := NewWriter(db)
	t.Cleanup(w.Close)
	w.flushing, w.lastWait = maxFlushes, time.Minute
	write := tokenWrite(newRun(0), 0)
	ctx, cancel := context.WithCancel(t.Context())
	wait := writeAll(ctx, w, []backfill.ChunkWrite{write})
	eventuallyForming(t, w, 1)
	w.mu.Lock()
	w.flushing--
	members := w.forming
	w.forming, w.waiting = nil, 0 // as a flush takes them
	w.mu.Unlock()
	cancel()
	w.flush(members)
	result := wait()[0]
	require.NoError(t, result.err)
	require.True(t, result.recorded)
	require.EqualValues(t, 1_440, storedCandles(t, db, write))
}

func TestFullWriterHoldsTheFetchersBack(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	w, release := heldWriter(t, db)
	run := newRun(0)
	huge := tokenWrite(run, 0)
	huge.Candles = make([]candle.Candle, maxWriting/candleBytes)
	for i := range huge.Candles {
		huge.Candles[i] = priced(day0+60*int64(i), 1, 1)
	}
	wait := writeAll(t.Context(), w, []backfill.ChunkWrite{huge})
	eventuallyForming(t, w, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := w.WriteChunk(ctx, tokenWrite(run, 1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	eventuallyForming(t, w, 1)

	waitNext := writeAll(t.Context(), w, []backfill.ChunkWrite{tokenWrite(run, 2)})
	release()
	require.NoError(t, wait()[0].err)
	require.NoError(t, waitNext()[0].err, "once there is room, it goes on")
}

func TestClosedWriterLeavesNothingBehind(t *testing.T) {
	db, _ := openMigrated(t)
	before := goleak.IgnoreCurrent()
	w := NewWriter(db)
	wait := writeAll(t.Context(), w, []backfill.ChunkWrite{tokenWrite(newRun(0), 0), tokenWrite(newRun(0), 1)})
	wait()
	w.Close()
	goleak.VerifyNone(t, before)
	_, err := w.WriteChunk(t.Context(), tokenWrite(newRun(0), 2))
	require.ErrorIs(t, err, errWriterClosed)
}

// The server is killed among the inserts. Whatever was acknowledged before, and after it came back, is there.
func TestAcknowledgedChunksSurviveTheServersDeath(t *testing.T) {
	t.Parallel()
	env := localtest.NewOwn(t)
	db, err := Open(t.Context(), Config{
		Host: env.Host, Port: env.NativePort, Database: env.Database, User: env.User, Password: secret.Text(env.Password),
	}, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	_, err = db.Migrate(t.Context())
	require.NoError(t, err)
	w := NewWriter(db)
	t.Cleanup(w.Close)

	run := newRun(0)
	var mu sync.Mutex
	var acknowledged []backfill.ChunkWrite
	errorsMet := 0
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var writing sync.WaitGroup
	const writers, each = 8, 25
	for i := range writers {
		writing.Go(func() {
			for j := range each {
				write := tokenWrite(run, i*each+j)
				for {
					_, err := w.WriteChunk(ctx, write)
					mu.Lock()
					if err == nil {
						acknowledged = append(acknowledged, write)
					} else {
						errorsMet++
					}
					kill := err == nil && len(acknowledged) == writers*each/2
					mu.Unlock()
					if kill {
						_ = syscall.Kill(env.Engines.PIDs()[2], syscall.SIGKILL) // if it is gone, the test below says so
					}
					if err == nil || ctx.Err() != nil {
						break
					}
					time.Sleep(20 * time.Millisecond)
				}
			}
		})
	}
	writing.Wait()
	require.NoError(t, ctx.Err())
	require.Len(t, acknowledged, writers*each)
	require.Positive(t, errorsMet, "the server died while chunks were being written")
	for _, write := range acknowledged {
		require.EqualValues(t, 1_440, storedCandles(t, db, write))
	}
}

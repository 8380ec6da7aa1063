package clickhouse

import (
	"sync"
	"testing"
	"time"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/clickhouse/report"
)

// ranAndEnded writes a run's candles, its planned row and its end.
func ranAndEnded(t testing.TB, db *DB, after int, candles []candle.Candle) backfill.Run {
	t.Helper()
	run := newRun(after)
	mustWrite(t, db, newWrite(run, candles))
	end(t, db, run)
	return run
}

func end(t testing.TB, db *DB, run backfill.Run) {
	t.Helper()
	require.NoError(t, db.Started(t.Context(), run))
	require.NoError(t, db.Finished(t.Context(), backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: time.Now().UTC()}))
}

var someone = backfill.UndoRequest{By: "ana@desk", Reason: "test"}

func TestARollbackUncoversWhatWasThereBefore(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	old := ranAndEnded(t, db, 0, minutes(5, 1))
	before := served(t, db)
	bad := ranAndEnded(t, db, 1, minutes(8, 2))
	later := ranAndEnded(t, db, 2, minutes(2, 3))
	withAll := served(t, db)

	preview, err := db.PreviewRollback(t.Context(), bad.ID())
	require.NoError(t, err)
	require.EqualValues(t, 8, preview.Versions)
	require.EqualValues(t, 3, preview.Disappearing)
	require.Equal(t, []backfill.FallBack{{RunID: old.ID(), Candles: 3}}, preview.FallBacks, "the first two are served by the later run")
	require.Empty(t, preview.Removed)
	nobodys, err := db.PreviewRollback(t.Context(), old.ID())
	require.NoError(t, err)
	require.Empty(t, nobodys.FallBacks)
	for _, list := range []any{nobodys.Removed, nobodys.Dependents, nobodys.FallBacks} {
		require.NotNil(t, list, "JSON has empty lists, not null")
	}

	require.NoError(t, db.RollBack(t.Context(), bad.ID(), someone, false))
	require.Equal(t, append(minutes(2, 3), minutes(5, 1)[2:]...), served(t, db))
	require.Equal(t, backfill.RefusedRolledBack, backfill.RefusalOf(db.RollBack(t.Context(), bad.ID(), someone, false)))
	row, err := db.RunDetails(t.Context(), bad.ID())
	require.NoError(t, err)
	require.Equal(t, "rolled_back", row.Status)
	require.NoError(t, db.RollBack(t.Context(), later.ID(), someone, false))
	require.Equal(t, before, served(t, db))

	require.NoError(t, db.Restore(t.Context(), later.ID(), someone))
	require.NoError(t, db.Restore(t.Context(), bad.ID(), someone))
	require.Equal(t, withAll, served(t, db))
	require.Equal(t, backfill.RefusedNotRolledBack, backfill.RefusalOf(db.Restore(t.Context(), bad.ID(), someone)))
}

func TestARunningOrUnknownRunIsNotRolledBack(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	require.NoError(t, db.Started(t.Context(), run))
	require.Equal(t, backfill.RefusedRunning, backfill.RefusalOf(db.RollBack(t.Context(), run.ID(), someone, true)))
	require.ErrorIs(t, db.RollBack(t.Context(), uuid.New(), someone, true), backfill.ErrUnknownRun)
	require.ErrorIs(t, db.Restore(t.Context(), uuid.New(), someone), backfill.ErrUnknownRun)
}

func TestASweepRemovesOnlyWhatIsRedundant(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	old := ranAndEnded(t, db, 0, minutes(5, 1))
	next := ranAndEnded(t, db, 1, minutes(3, 2))
	running := newRun(2)
	require.NoError(t, db.Started(t.Context(), running))
	mustWrite(t, db, newWrite(running, minutes(2, 3)))
	before := served(t, db)

	young, err := db.Sweep(t.Context(), backfill.SweepRequest{Window: time.Hour})
	require.NoError(t, err)
	require.Equal(t, []backfill.SweptMonth{{Month: 202401, Interval: "1m", Versions: 10}}, young, "no run is settled yet")
	dry, err := db.Sweep(t.Context(), backfill.SweepRequest{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, []backfill.SweptMonth{{Month: 202401, Interval: "1m", Versions: 10, Redundant: 3}}, dry)
	require.EqualValues(t, 10, scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions"))
	swept, err := db.Sweep(t.Context(), backfill.SweepRequest{By: "cron"})
	require.NoError(t, err)
	require.Equal(t, dry, swept)
	require.EqualValues(t, 7, scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions"))
	require.Equal(t, before, served(t, db))
	again, err := db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.Equal(t, []backfill.SweptMonth{{Month: 202401, Interval: "1m", Versions: 7}}, again)

	refused := db.RollBack(t.Context(), next.ID(), someone, false)
	require.ErrorContains(t, refused, "3 of 2024-01")
	require.Equal(t, before, served(t, db))
	require.NoError(t, db.RollBack(t.Context(), old.ID(), someone, false), "nothing was removed for its sake")
	require.NoError(t, db.RollBack(t.Context(), next.ID(), someone, true))
	require.Equal(t, minutes(2, 3), served(t, db))
}

// A rollback is refused for what it would need, and for nothing else.
func TestARollbackNeedsNeitherTheRunsOwnVersionsNorPurgedOnes(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	purged := ranAndEnded(t, db, 0, minutes(5, 1))
	run := newRun(1)
	silent := minutes(5, 2)
	for i := range silent {
		silent[i].Volume = 0
	}
	mustWrite(t, db, newWrite(run, silent)) // the chunk is answered again, and better
	mustWrite(t, db, newWrite(run, minutes(5, 2)))
	end(t, db, run)
	swept, err := db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 10, swept[0].Redundant)
	preview, err := db.PreviewRollback(t.Context(), run.ID())
	require.NoError(t, err)
	require.Equal(t, []backfill.RemovedMonth{{Month: 202401, Versions: 5}}, preview.Removed, "the other run's")

	require.NoError(t, db.RollBack(t.Context(), purged.ID(), someone, false))
	require.ErrorContains(t, db.RollBack(t.Context(), run.ID(), someone, false), "5 of 2024-01", "the other may be restored")
	_, err = db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.NoError(t, db.RollBack(t.Context(), run.ID(), someone, false))
}

func TestAPurgeEndsTheTimeForRestoring(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := ranAndEnded(t, db, 0, minutes(5, 1))
	other := ranAndEnded(t, db, 1, minutes(2, 2))
	require.NoError(t, db.RollBack(t.Context(), run.ID(), someone, false))
	_, err := db.Sweep(t.Context(), backfill.SweepRequest{Window: time.Hour})
	require.NoError(t, err)
	require.NoError(t, db.Restore(t.Context(), run.ID(), someone), "its time is not over")
	require.NoError(t, db.RollBack(t.Context(), run.ID(), someone, false))
	dry, err := db.Sweep(t.Context(), backfill.SweepRequest{DryRun: true})
	require.NoError(t, err)
	require.Equal(t, []backfill.SweptMonth{{Month: 202401, Interval: "1m", Versions: 7, Purged: 5}}, dry)
	swept, err := db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.Equal(t, dry, swept)
	require.Equal(t, backfill.RefusedPurging, backfill.RefusalOf(db.Restore(t.Context(), run.ID(), someone)))
	require.Equal(t, backfill.RefusedPurging, backfill.RefusalOf(db.RollBack(t.Context(), run.ID(), someone, false)))
	require.EqualValues(t, 2, scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions"))
	require.NoError(t, db.RollBack(t.Context(), other.ID(), someone, false))
}

// The purge of a large run counts its versions in bounded memory: a set of them would take three times what is allowed here.
func TestAPurgeCountsInBoundedMemory(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	fill(t, db, run, 3_000_000)
	require.NoError(t, db.RollBack(t.Context(), run.ID(), someone, false))
	ctx := driver.Context(t.Context(), driver.WithSettings(driver.Settings{"max_memory_usage": 150_000_000, "max_threads": 2}))
	found, err := db.Sweep(ctx, backfill.SweepRequest{DryRun: true})
	require.NoError(t, err)
	require.EqualValues(t, 3_000_000, found[0].Purged)
}

// A moment whose versions are gone is refused, also where the purge has left nothing at all to read.
func TestAMomentWithoutItsVersionsIsRefused(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := ranAndEnded(t, db, 0, minutes(5, 1))
	var moment time.Time
	require.NoError(t, db.conn.QueryRow(t.Context(), "SELECT now64(6, 'UTC')").Scan(&moment))
	asOf := func() ([]candle.Candle, error) { return readServed(db, token, moment) }
	got, err := asOf()
	require.NoError(t, err)
	require.Equal(t, minutes(5, 1), got)

	require.NoError(t, db.RollBack(t.Context(), run.ID(), someone, false))
	_, err = db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	mustExec(t, db, "OPTIMIZE TABLE ohlcv_candle_versions FINAL")
	require.Zero(t, scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions"))
	_, err = asOf()
	require.ErrorIs(t, err, ErrMomentGone)
	_, err = readServed(db, candle.Token{Chain: candle.Base, Address: "0x0"}, moment)
	require.ErrorIs(t, err, ErrMomentGone, "whatever is read: what is missing is not known per token")
}

// The clock of the worker that ends a run may be behind the server's: what was served when it had ended has its candles, and
// the moment between the two clocks is refused once the candles of before are gone.
func TestAMomentOfARunWhoseClockIsBehind(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	old := ranAndEnded(t, db, 0, minutes(5, 1))
	before, err := report.New(db).EndMoment(t.Context(), old.ID())
	require.NoError(t, err)
	run := newRun(1)
	write := newWrite(run, minutes(5, 2))
	mustWrite(t, db, write)
	require.NoError(t, db.Started(t.Context(), run))
	require.NoError(t, db.Finished(t.Context(), backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: before.Add(-time.Minute)}))
	read := func(moment time.Time) ([]candle.Candle, error) { return readServed(db, token, moment) }
	end, err := report.New(db).EndMoment(t.Context(), run.ID())
	require.NoError(t, err)
	got, err := read(end)
	require.NoError(t, err)
	require.Equal(t, minutes(5, 2), got)
	got, err = read(before)
	require.NoError(t, err)
	require.Equal(t, minutes(5, 1), got)

	swept, err := db.Sweep(t.Context(), backfill.SweepRequest{})
	require.NoError(t, err)
	require.EqualValues(t, 5, swept[0].Redundant)
	_, err = read(before)
	require.ErrorIs(t, err, ErrMomentGone)
}

// Runs are written, ended and written again while one sweep after another goes through their month: each candle stays
// served by the newest run that has it.
func TestSweepsBesideInsertsLoseNothing(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	const runs, length = 24, 300
	var writing sync.WaitGroup
	over := make(chan struct{})
	for writer := range 3 {
		writing.Go(func() {
			for i := writer; i < runs; i += 3 {
				run := newRun(i)
				candles := minutes(length+i, float64(i+1))[i:] // each run leaves one more minute to those before it
				w := newWrite(run, candles)
				for range 2 { // a chunk may come twice
					if _, err := db.WriteChunk(t.Context(), w); !assert.NoError(t, err) {
						return
					}
				}
				assert.NoError(t, db.Started(t.Context(), run))
				assert.NoError(t, db.Finished(t.Context(), backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: time.Now().UTC()}))
			}
		})
	}
	go func() { writing.Wait(); close(over) }()
	for sweeping := true; sweeping; {
		select {
		case <-over:
			sweeping = false // one more, over everything
		default:
		}
		_, err := db.Sweep(t.Context(), backfill.SweepRequest{})
		require.NoError(t, err)
	}
	var want []candle.Candle
	for minute := range int64(length + runs - 1) {
		newest := min(minute, runs-1) // runs up to this one begin at or before the minute, and its last ones last to the end
		want = append(want, priced(day0+60*minute, float64(newest+1), 1))
	}
	require.Equal(t, want, served(t, db))
	require.EqualValues(t, len(want), scalar[uint64](t, db, "SELECT count() FROM ohlcv_candle_versions FINAL"), "the last sweep left one version of each")
}

package clickhouse

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

// endWith writes the end of an attempt.
func endWith(t testing.TB, db *DB, run backfill.Run, change func(*backfill.RunRecord)) backfill.Run {
	t.Helper()
	record := backfill.RunRecord{Run: run, Status: backfill.StatusCompleted, CompletedAt: time.Now().UTC()}
	change(&record)
	require.NoError(t, db.Finished(t.Context(), record))
	return run
}

func TestEndsThatWereNotDelivered(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	ten := func(after int) backfill.Run { run := newRun(after); run.PlannedChunks = 10; return run }
	since := time.Now().Add(-time.Hour)
	kinds := []string{"run_failed", "run_faulty"}
	undelivered := func() (ids []uuid.UUID) {
		found, err := report.New(db).UndeliveredFailures(t.Context(), since, 0.2, kinds)
		require.NoError(t, err)
		for _, f := range found {
			ids = append(ids, f.RunID)
		}
		return ids
	}
	endWith(t, db, ten(0), func(*backfill.RunRecord) {})
	endWith(t, db, ten(1), func(r *backfill.RunRecord) { r.Status, r.FailedChunks = backfill.StatusCancelled, 1 })
	endWith(t, db, ten(2), func(r *backfill.RunRecord) { r.Stats = backfill.Stats{Fetched: 100, Inserted: 81, Rejected: 19} })
	require.NoError(t, db.Started(t.Context(), ten(3)))
	require.Empty(t, undelivered())

	failed := endWith(t, db, ten(4), func(r *backfill.RunRecord) {
		r.Status, r.FailedChunks, r.ErrorMessage = backfill.StatusFailed, 1, "why"
	})
	manyFailed := endWith(t, db, ten(5), func(r *backfill.RunRecord) { r.Status, r.FailedChunks = backfill.StatusCancelled, 2 })
	rejected := endWith(t, db, ten(6), func(r *backfill.RunRecord) { r.Stats = backfill.Stats{Fetched: 100, Inserted: 80, Rejected: 20} })
	broken := endWith(t, db, ten(7), func(r *backfill.RunRecord) { r.Stats = backfill.Stats{Fetched: 100, Inserted: 99} })
	again := failed
	again.Attempt = 2
	endWith(t, db, again, func(r *backfill.RunRecord) { r.Status, r.FailedChunks = backfill.StatusFailed, 1 })
	endWith(t, db, again, func(*backfill.RunRecord) {}) // another end of the same attempt: the first counts
	require.Equal(t, []uuid.UUID{failed.ID(), manyFailed.ID(), rejected.ID(), broken.ID(), failed.ID()}, undelivered())

	event := uuid.New()
	delivered := func() bool {
		found, err := report.New(db).Delivered(t.Context(), "run_failed", event)
		require.NoError(t, err)
		return found
	}
	require.False(t, delivered())
	for range 2 {
		require.NoError(t, db.RecordAlert(t.Context(), Alert{Kind: "run_failed", RunID: failed.ID(), Attempt: 1, EventID: event, Text: "t", DeliveredBy: "w"}))
	}
	require.True(t, delivered())
	require.NoError(t, db.RecordAlert(t.Context(), Alert{Kind: "run_stuck", RunID: broken.ID(), Attempt: 1, EventID: uuid.New()}))
	require.Equal(t, []uuid.UUID{manyFailed.ID(), rejected.ID(), broken.ID(), failed.ID()}, undelivered(), "one attempt of it, and not what was delivered of another kind")
	since = time.Now().Add(time.Hour)
	require.Empty(t, undelivered())
}

func TestRunCounts(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	require.NoError(t, db.Started(t.Context(), newRun(0)))
	good := newRun(1)
	require.NoError(t, db.Started(t.Context(), good))
	endWith(t, db, good, func(*backfill.RunRecord) {})
	hidden := endWith(t, db, newRun(2), func(r *backfill.RunRecord) { r.Stats.Fetched = 1 })
	setVisible(t, db, hidden.ID(), 1, eventRolledBack)
	endWith(t, db, newRun(3), func(r *backfill.RunRecord) { r.Stats = backfill.Stats{Fetched: 10, Inserted: 9, Rejected: 1} })
	endWith(t, db, newRun(4), func(r *backfill.RunRecord) {
		r.Stats, r.CompletedAt = backfill.Stats{Fetched: 10, Inserted: 1}, time.Now().Add(-48*time.Hour)
	})
	retried := endWith(t, db, newRun(5), func(r *backfill.RunRecord) { r.Status, r.FailedChunks = backfill.StatusFailed, 1 })
	retried.Attempt = 2
	endWith(t, db, retried, func(r *backfill.RunRecord) { r.Status, r.FailedChunks = backfill.StatusFailed, 1 })
	counts, faulty, err := report.New(db).RunCounts(t.Context(), time.Now().Add(-24*time.Hour), 0.1)
	require.NoError(t, err)
	require.Equal(t, map[backfill.RunStatus]int64{
		backfill.StatusRunning: 1, backfill.StatusCompleted: 3, backfill.StatusFailed: 1, backfill.StatusRolledBack: 1,
	}, counts)
	require.EqualValues(t, 1, faulty, "neither the one that is dealt with nor the one of two days ago")
}

func TestLastSign(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	run := newRun(0)
	_, found, err := report.New(db).LastActivity(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.False(t, found)
	require.NoError(t, db.Planned(t.Context(), run, []backfill.Chunk{newChunk(run, 0), newChunk(run, 1)}))
	planned, found, err := report.New(db).LastActivity(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.True(t, found)
	require.Zero(t, planned.Ended)
	mustWrite(t, db, newWrite(run, minutes(1, 1)))
	sign, _, err := report.New(db).LastActivity(t.Context(), run.ID(), 1)
	require.NoError(t, err)
	require.True(t, sign.At.After(planned.At))
	require.EqualValues(t, 1, sign.Ended)
	require.EqualValues(t, 2, sign.Planned)
	require.Less(t, sign.Silence, time.Minute)
}

func TestInsertsAreObserved(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	var rows []int
	var errs []error
	db.OnInsert(func(n int) func(error) {
		rows = append(rows, n)
		return func(err error) { errs = append(errs, err) }
	})
	run := newRun(0)
	mustWrite(t, db, newWrite(run, minutes(7, 1)))
	require.Equal(t, []int{7}, rows)
	require.Equal(t, []error{nil}, errs)
	require.NoError(t, db.Close())
	_, err := db.WriteChunk(t.Context(), newWrite(run, minutes(3, 1)))
	require.Error(t, err)
	require.Equal(t, []int{7, 3}, rows)
	require.ErrorIs(t, err, errs[1], "the one that the caller hears")
}

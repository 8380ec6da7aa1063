package clickhouse

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
)

// finished is a run of the source that started at the time and ended so.
func finished(t testing.TB, db *DB, started time.Time, source string, status backfill.RunStatus, stats backfill.Stats, failedChunks int) backfill.Run {
	t.Helper()
	run := newRun(0)
	run.Manifest.StartedAt, run.Manifest.Source, run.PlannedChunks = started, source, 10
	require.NoError(t, db.Finished(t.Context(), backfill.RunRecord{
		Run: run, Status: status, CompletedAt: started.Add(time.Minute), Stats: stats, FailedChunks: failedChunks,
	}))
	return run
}

func TestQuality(t *testing.T) {
	t.Parallel()
	db, _ := openMigrated(t)
	monday := time.Date(2025, 3, 3, 0, 0, 0, 0, time.UTC)
	good := finished(t, db, monday, "birdeye", backfill.StatusCompleted, backfill.Stats{Fetched: 100, Inserted: 90, Rejected: 4, Deduplicated: 6, ZeroVolume: 7}, 0)
	bad := finished(t, db, monday.Add(24*time.Hour-time.Millisecond), "birdeye", backfill.StatusFailed, backfill.Stats{Fetched: 50, Inserted: 50}, 3)
	undone := finished(t, db, monday.Add(time.Hour), "birdeye", backfill.StatusCompleted, backfill.Stats{Fetched: 9, Rejected: 9}, 0)
	setVisible(t, db, undone.ID(), 1, "rolled_back")
	other := finished(t, db, monday.Add(24*time.Hour), "binance", backfill.StatusCompleted, backfill.Stats{Fetched: 1, Inserted: 1}, 0)

	days, err := report.New(db).QualityByDay(t.Context(), report.QualityFilter{})
	require.NoError(t, err)
	require.Equal(t, []report.QualityDay{
		{Day: monday, Runs: 2, RolledBack: 1, Failed: 1, Chunks: 20, FailedChunks: 3, Fetched: 150, Rejected: 4, Deduplicated: 6, ZeroVolume: 7},
		{Day: monday.Add(24 * time.Hour), Runs: 1, Chunks: 10, Fetched: 1},
	}, days)
	days, err = report.New(db).QualityByDay(t.Context(), report.QualityFilter{Source: "binance"})
	require.NoError(t, err)
	require.Len(t, days, 1)

	ids := func(f report.QualityFilter, limit int) (ids []uuid.UUID) {
		runs, err := report.New(db).RunSummaries(t.Context(), f, limit)
		require.NoError(t, err)
		for _, run := range runs {
			ids = append(ids, run.RunID)
		}
		return ids
	}
	require.Equal(t, []uuid.UUID{other.ID(), bad.ID(), undone.ID(), good.ID()}, ids(report.QualityFilter{}, 10))
	require.Equal(t, []uuid.UUID{other.ID()}, ids(report.QualityFilter{}, 1))
	require.Equal(t, []uuid.UUID{bad.ID(), undone.ID()}, ids(report.QualityFilter{Since: monday.Add(time.Hour), Until: monday.Add(24 * time.Hour)}, 10))
	runs, err := report.New(db).RunSummaries(t.Context(), report.QualityFilter{Until: monday.Add(time.Second)}, 10)
	require.NoError(t, err)
	require.Equal(t, []backfill.RunSummary{{
		RunID: good.ID(), Status: backfill.StatusCompleted, StartedAt: monday, PlannedChunks: 10,
		Stats: backfill.Stats{Fetched: 100, Inserted: 90, Rejected: 4, Deduplicated: 6, ZeroVolume: 7},
	}}, runs)
}

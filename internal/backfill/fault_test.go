package backfill

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestExamine(t *testing.T) {
	t.Parallel()
	now := time.Date(2025, 3, 2, 0, 0, 0, 0, time.UTC)
	id := uuid.MustParse("01a20a8e-bc5e-7619-9ea4-5412916c3697")
	good := RunSummary{
		RunID: id, Status: StatusCompleted, StartedAt: now.Add(-time.Hour), PlannedChunks: 10,
		Stats: Stats{Fetched: 100, Inserted: 95, Rejected: 5, ZeroVolume: 20},
	}
	for name, c := range map[string]struct {
		change  func(*RunSummary)
		problem string // empty: not faulty
		want    Recommendation
		command string
	}{
		"good":                   {change: func(*RunSummary) {}},
		"young and running":      {change: func(r *RunSummary) { r.Status = StatusRunning }},
		"dealt with":             {change: func(r *RunSummary) { r.Status, r.Stats.ZeroVolume = StatusRolledBack, 100 }},
		"nothing fetched":        {change: func(r *RunSummary) { r.Stats, r.PlannedChunks = Stats{}, 0 }},
		"just below every limit": {change: func(r *RunSummary) { r.Stats.ZeroVolume, r.Stats.Inserted, r.Stats.Rejected = 49, 91, 9 }},
		"many without volume": {
			change:  func(r *RunSummary) { r.Stats.ZeroVolume = 50 },
			problem: "50% of the candles without volume", want: RecommendRollback, command: "runs-rollback " + id.String() + " --dry-run",
		},
		"many rejected": {
			change:  func(r *RunSummary) { r.Stats.Inserted, r.Stats.Rejected = 90, 10 },
			problem: "10% of the candles rejected", want: RecommendRollback, command: "runs-rollback " + id.String() + " --dry-run",
		},
		"all rejected": {
			change:  func(r *RunSummary) { r.Stats.Inserted, r.Stats.Rejected = 0, 100 },
			problem: "100% of the candles rejected", want: RecommendIgnore,
		},
		"unbalanced": {
			change:  func(r *RunSummary) { r.Stats.Fetched++ },
			problem: "fetched differs from inserted + rejected + deduplicated", want: RecommendRollback, command: "runs-rollback " + id.String() + " --dry-run",
		},
		"failed chunks": {
			change:  func(r *RunSummary) { r.Status, r.FailedChunks = StatusFailed, 1 },
			problem: "10% of the chunks failed", want: RecommendRevalidate, command: "runs-retry " + id.String(),
		},
		"failed as a whole": {
			change:  func(r *RunSummary) { r.Status, r.ErrorMessage = StatusFailed, "credit cap" },
			problem: "failed: credit cap", want: RecommendRevalidate, command: "runs-details " + id.String(),
		},
		"stuck": {
			change:  func(r *RunSummary) { r.Status, r.StartedAt = StatusRunning, now.Add(-24*time.Hour) },
			problem: "running for 24h0m0s", want: RecommendRevalidate, command: "runs-resume " + id.String(),
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run := good
			c.change(&run)
			fault, faulty := DefaultFaultLimits().Examine(run, now)
			require.Equal(t, c.problem != "", faulty)
			if faulty {
				require.Equal(t, Fault{
					RunID: id, Status: run.Status, StartedAt: run.StartedAt, Problems: []string{c.problem}, Recommendation: c.want, Command: c.command,
				}, fault)
			}
		})
	}
}

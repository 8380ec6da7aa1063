package backfill

import (
	"fmt"
	"time"

	"github.com/google/uuid"
)

// RunSummary is what a run is examined by.
type RunSummary struct {
	RunID     uuid.UUID
	Status    RunStatus
	StartedAt time.Time
	Stats     Stats
	// PlannedChunks is how many chunks the run has; FailedChunks and CancelledChunks count their latest outcomes.
	PlannedChunks, FailedChunks, CancelledChunks int64
	ErrorMessage                                 string
}

// Recommendation is what to do about a faulty run.
type Recommendation string

// The recommendations.
const (
	RecommendRollback   Recommendation = "rollback"   // its candles are doubtful
	RecommendRevalidate Recommendation = "revalidate" // fetch or look again
	RecommendIgnore     Recommendation = "ignore"     // it stored nothing
)

// Fault is a run that somebody should look at.
type Fault struct {
	RunID          uuid.UUID      `json:"run_id"`
	Status         RunStatus      `json:"status"`
	StartedAt      time.Time      `json:"started_at"`
	Problems       []string       `json:"problems"`
	Recommendation Recommendation `json:"recommendation"`
	// Command is what to type after "quantbot ohlcv"; empty when there is nothing to do.
	Command string `json:"command"`
}

// FaultLimits say what makes a run faulty. Rates are shares, above 0 and up to 1.
type FaultLimits struct {
	ErrorRate      float64 // of failed chunks
	ZeroVolumeRate float64 // of candles without volume
	RejectionRate  float64 // of rejected candles
	StuckAfter     time.Duration
}

// DefaultFaultLimits are those of validate-duplicates and of the dashboard.
func DefaultFaultLimits() FaultLimits {
	return FaultLimits{ErrorRate: 0.1, ZeroVolumeRate: 0.5, RejectionRate: 0.1, StuckAfter: 24 * time.Hour}
}

// Examine says what is wrong with a run. What is rolled back has been dealt with.
func (l FaultLimits) Examine(r RunSummary, now time.Time) (Fault, bool) {
	f := Fault{RunID: r.RunID, Status: r.Status, StartedAt: r.StartedAt}
	if r.Status == StatusRolledBack {
		return f, false
	}
	doubtful := l.doubts(r)
	f.Problems = append(doubtful, l.troubles(r, now)...)
	switch id := r.RunID.String(); {
	case len(f.Problems) == 0:
		return f, false
	case r.Status == StatusRunning:
		f.Recommendation, f.Command = RecommendRevalidate, "runs-resume "+id
	case len(doubtful) > 0 && r.Stats.Inserted > 0:
		f.Recommendation, f.Command = RecommendRollback, "runs-rollback "+id+" --dry-run"
	case r.FailedChunks+r.CancelledChunks > 0:
		f.Recommendation, f.Command = RecommendRevalidate, "runs-retry "+id
	case r.Stats.Inserted == 0:
		f.Recommendation = RecommendIgnore
	default:
		f.Recommendation, f.Command = RecommendRevalidate, "runs-details "+id
	}
	return f, true
}

// doubts are reasons not to trust the candles.
func (l FaultLimits) doubts(r RunSummary) (problems []string) {
	if rate := ratio(r.Stats.ZeroVolume, r.Stats.Fetched); rate >= l.ZeroVolumeRate {
		problems = append(problems, fmt.Sprintf("%.0f%% of the candles without volume", 100*rate))
	}
	if rate := ratio(r.Stats.Rejected, r.Stats.Fetched); rate >= l.RejectionRate {
		problems = append(problems, fmt.Sprintf("%.0f%% of the candles rejected", 100*rate))
	}
	if !r.Stats.Balanced() {
		problems = append(problems, "fetched differs from inserted + rejected + deduplicated")
	}
	return problems
}

// troubles are reasons to go on with the run.
func (l FaultLimits) troubles(r RunSummary, now time.Time) (problems []string) {
	if rate := ratio(r.FailedChunks, r.PlannedChunks); rate >= l.ErrorRate {
		problems = append(problems, fmt.Sprintf("%.0f%% of the chunks failed", 100*rate))
	}
	if r.Status == StatusFailed && len(problems) == 0 {
		problems = append(problems, "failed: "+r.ErrorMessage)
	}
	if r.Status == StatusRunning && now.Sub(r.StartedAt) >= l.StuckAfter {
		problems = append(problems, "running for "+now.Sub(r.StartedAt).Round(time.Minute).String())
	}
	return problems
}

func ratio(part, whole int64) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}

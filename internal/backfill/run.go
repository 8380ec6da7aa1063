package backfill

import (
	"slices"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
	"quantbot/internal/manifest"
)

// RunStatus is the state of a run as people see it, in the run's row.
type RunStatus string

// The statuses of a run. RolledBack comes from a visibility event, the others from the run's life cycle.
const (
	StatusRunning    RunStatus = "running"
	StatusCompleted  RunStatus = "completed"
	StatusFailed     RunStatus = "failed"
	StatusCancelled  RunStatus = "cancelled"
	StatusRolledBack RunStatus = "rolled_back"
)

// statuses are all of them, in the order in which they are offered to choose from, with what holds of a run in that state.
var statuses = []struct {
	status    RunStatus
	ended     bool // its latest attempt is over, and its candles are served
	retryable bool // some of its chunks may be fetched again
}{
	{StatusRunning, false, false},
	{StatusCompleted, true, false},
	{StatusFailed, true, true},
	{StatusCancelled, true, true},
	{StatusRolledBack, false, false},
}

// RunStatuses are all of them, in the order in which they are offered to choose from.
func RunStatuses() []RunStatus {
	all := make([]RunStatus, len(statuses))
	for i, s := range statuses {
		all[i] = s.status
	}
	return all
}

// RunStatusNames are RunStatuses as text.
func RunStatusNames() []string {
	statuses := RunStatuses()
	names := make([]string, len(statuses))
	for i, status := range statuses {
		names[i] = string(status)
	}
	return names
}

// EndedStatusNames are those that have Ended, as text.
func EndedStatusNames() []string {
	var names []string
	for _, s := range statuses {
		if s.ended {
			names = append(names, string(s.status))
		}
	}
	return names
}

// Ended reports whether the status is that of a run whose latest attempt is over, and whose candles are served.
func (s RunStatus) Ended() bool {
	return slices.Contains(EndedStatusNames(), string(s))
}

// Retryable reports whether some chunks of a run with this status may be fetched again.
func (s RunStatus) Retryable() bool {
	for _, known := range statuses {
		if known.status == s {
			return known.retryable
		}
	}
	return false
}

// Run is one attempt of a run. The manifest stays the same over its attempts.
type Run struct {
	Manifest manifest.Manifest `json:"manifest"`
	// Attempt counts from 1; runs-retry adds one.
	Attempt int `json:"attempt"`
	// PlannedChunks is how many chunks the run has over all attempts: a retry takes up some of them again.
	PlannedChunks int `json:"planned_chunks"`
	// RetriedChunks is how many of them this attempt takes up; 0 in a first attempt, which takes up all.
	RetriedChunks int `json:"retried_chunks,omitempty"`
}

// ID is the run's id.
func (r Run) ID() uuid.UUID { return r.Manifest.RunID }

// Tier is how far the candles of a source are trusted: those of a fallback one step less, so that a candle of the source
// that was asked for is served rather.
func (r Run) Tier(source string) candle.SourceTier {
	if source == r.Manifest.Source || r.Manifest.SourceTier == candle.TierUnknown {
		return r.Manifest.SourceTier
	}
	return r.Manifest.SourceTier - 1
}

// AttemptChunks is how many chunks this attempt has: its plan is whole when it holds as many.
func (r Run) AttemptChunks() int {
	if r.Attempt > 1 {
		return r.RetriedChunks
	}
	return r.PlannedChunks
}

// RunRecord is what the history keeps of a run: the row that people query.
type RunRecord struct {
	Run
	Status      RunStatus `json:"status"`
	CompletedAt time.Time `json:"completed_at"` // zero while running
	Stats       Stats     `json:"stats"`
	// TokensProcessed counts distinct tokens with at least one successful chunk.
	TokensProcessed int `json:"tokens_processed"`
	// FailedChunks and CancelledChunks count the chunks' latest outcomes.
	FailedChunks    int    `json:"failed_chunks"`
	CancelledChunks int    `json:"cancelled_chunks"`
	ErrorMessage    string `json:"error_message"`
	// DedupCompletedAt is when this run's candles were compared with those of others; zero when they were not.
	DedupCompletedAt time.Time `json:"dedup_completed_at"`
}

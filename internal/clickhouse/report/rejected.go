package report

import (
	"context"

	"github.com/google/uuid"
)

// RejectedCount is how many candles of a run broke a rule.
type RejectedCount struct {
	Rule    string `json:"rule" ch:"rule"`
	Candles uint64 `json:"candles" ch:"candles"`
}

// RejectedByRule counts the run's quarantine per rule, most first. A candle that was rejected twice under the same rule
// counts once, so the sum may be below the run's candles_rejected; after 90 days the quarantine is empty.
func (db Reader) RejectedByRule(ctx context.Context, runID uuid.UUID) ([]RejectedCount, error) {
	counts, err := selectStructs[RejectedCount](ctx, db, rejectedByRuleSQL, named("run_id", runID))
	return counts, db.failed("count rejected candles of run "+runID.String(), err)
}

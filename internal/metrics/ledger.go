package metrics

import (
	"context"

	"quantbot/internal/backfill"
)

// FillLedger counts what is recorded in the ledger.
func (m *Metrics) FillLedger(ledger backfill.FillLedger) backfill.FillLedger {
	return countedLedger{FillLedger: ledger, metrics: m}
}

type countedLedger struct {
	backfill.FillLedger
	metrics *Metrics
}

// Record counts outcomes that the ledger kept: those of a second execution do not count.
func (l countedLedger) Record(ctx context.Context, task backfill.Task, epoch int64, outcome backfill.Outcome) (backfill.Recorded, error) {
	recorded, err := l.FillLedger.Record(ctx, task, epoch, outcome)
	if err == nil && recorded.Kept {
		l.metrics.Recorded(outcome)
	}
	return recorded, err
}

package clickhouse

import (
	"context"

	"github.com/google/uuid"
)

// Alert is an alert that was delivered.
type Alert struct {
	Kind        string    `ch:"kind"`
	RunID       uuid.UUID `ch:"run_id"` // zero for one that is about no run
	Attempt     uint32    `ch:"attempt"`
	EventID     uuid.UUID `ch:"event_id"`
	Text        string    `ch:"text"`
	DeliveredBy string    `ch:"delivered_by"`
}

// RecordAlert writes that an alert was delivered. Writing it again changes nothing for readers.
func (db *DB) RecordAlert(ctx context.Context, alert Alert) error {
	return db.Failed("write a delivered alert", insertStructs(ctx, db, insertAlertSQL, []Alert{alert}))
}

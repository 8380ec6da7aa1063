package clickhouse

import (
	"context"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

type operatorActionRow struct {
	ID      uuid.UUID `ch:"action_id"`
	Phase   string    `ch:"phase"`
	Action  string    `ch:"action"`
	RunID   uuid.UUID `ch:"run_id"`
	By      string    `ch:"requested_by"`
	Address string    `ch:"address"`
	Reason  string    `ch:"reason"`
	Result  string    `ch:"result"`
	Detail  string    `ch:"detail"`
}

// WriteAction writes that an action was asked for (backfill.ActionStarted) or how it ended.
func (db *DB) WriteAction(ctx context.Context, a backfill.OperatorAction) error {
	row := operatorActionRow{
		ID: a.ID, Phase: "ended", Action: a.Action, RunID: a.RunID, By: a.By, Address: a.Address, Reason: a.Reason, Result: a.Result, Detail: a.Detail,
	}
	if a.Result == backfill.ActionStarted {
		row.Phase = "asked"
	}
	return db.Failed("write an operator's action", insertStructs(ctx, db, insertOperatorActionSQL, []operatorActionRow{row}))
}

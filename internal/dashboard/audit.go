package dashboard

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// auditTimeout bounds writing a row of the record.
const auditTimeout = 5 * time.Second

// recorded does what a visitor asks for, and writes down that it was asked for and how it ended. Trouble with the record
// is a warning: it neither stops an action nor hides its error (R7).
func (d *Dashboard) recorded(ctx context.Context, r *http.Request, action backfill.OperatorAction, do func(ctx context.Context, by string) (detail string, err error)) error {
	action.ID, action.By, action.Address, action.Result = uuid.New(), d.visitor(r).name, address(r), backfill.ActionStarted
	d.writeAction(ctx, action)
	detail, err := do(ctx, action.By)
	action.Result, action.Detail = backfill.ActionDone, detail
	switch why := refused(err); {
	case why != "":
		action.Result, action.Detail = backfill.ActionRefused, why
	case err != nil:
		_, message, _ := forVisitors(err)
		action.Result, action.Detail = backfill.ActionFailed, message
	}
	d.writeAction(ctx, action)
	return err
}

func (d *Dashboard) writeAction(ctx context.Context, action backfill.OperatorAction) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTimeout)
	defer cancel()
	d.cfg.Logger.InfoContext(ctx, "operator action", "action", action.Action, "run_id", action.RunID, "by", action.By, "result", action.Result, "detail", action.Detail)
	if err := d.cfg.History.WriteAction(ctx, action); err != nil {
		d.cfg.Logger.WarnContext(ctx, "operator action not recorded", "action", action.Action, "run_id", action.RunID, "by", action.By, "result", action.Result, "err", err)
	}
}

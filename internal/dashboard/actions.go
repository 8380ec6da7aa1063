package dashboard

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse/report"
	"quantbot/internal/operate"
)

// Actions is what people do to runs: operate.Operator.
type Actions interface {
	RollBack(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest, force bool) error
	Restore(ctx context.Context, runID uuid.UUID, request backfill.UndoRequest) error
	Retry(ctx context.Context, runID uuid.UUID, force bool) (backfill.Run, error)
	Cancel(ctx context.Context, runID uuid.UUID) error
	PreviewRollback(ctx context.Context, runID uuid.UUID) (backfill.RollbackPreview, error)
	Sweep(ctx context.Context, sweep backfill.SweepRequest) ([]backfill.SweptMonth, error)
}

type actionHistory interface {
	WriteAction(ctx context.Context, action backfill.OperatorAction) error
	OperatorActions(ctx context.Context, runID uuid.UUID, limit int) ([]backfill.OperatorAction, error)
}

// The actions on a run, as they appear in addresses and in the record.
const (
	actionRollback = string(operate.Rollback)
	actionRestore  = string(operate.Restore)
	actionRetry    = string(operate.Retry)
	actionCancel   = string(operate.Cancel)
)

var actionTitles = map[string]string{
	actionRollback: "Roll back", actionRestore: "Restore", actionRetry: "Retry", actionCancel: "Cancel",
}

var actionNames = []string{actionRollback, actionRestore, actionRetry, actionCancel}

const (
	// actionTimeout bounds an action; cancelling a run of a hundred thousand chunks takes half a minute.
	actionTimeout = 10 * time.Minute
	// previewTimeout bounds a preview, which reads all candles of a run.
	previewTimeout = 2 * time.Minute
	// previewsAtOnce bounds what previews ask of ClickHouse together.
	previewsAtOnce = 2
)

// actionData is what an action would do.
type actionData struct {
	Run    backfill.RunRow `json:"run"`
	Action string          `json:"action"`
	// Rollback is set for a rollback.
	Rollback *backfill.RollbackPreview `json:"rollback,omitempty"`
	// Progress is set for a cancel, as far as Redis knows.
	Progress *Progress `json:"progress,omitempty"`
	// Failures is set for a retry.
	Failures []report.FailedGroup `json:"failures,omitempty"`
	// Refusal says why it cannot be done now; empty = it can.
	Refusal string `json:"refusal,omitempty"`
	// NeedsForce says what would be lost by doing it all the same.
	NeedsForce string `json:"needs_force,omitempty"`
	// Seen is the state that the preview shows; who confirms another has to look again.
	Seen string `json:"seen"`
	// Problem is why it was not done.
	Problem string `json:"problem,omitempty"`
}

func (d *Dashboard) actionPage(action string) page {
	return page{
		path: "/runs/{id}/" + action, template: "action.html", section: "Runs", slow: true,
		load: func(r *http.Request) (content, error) { return d.loadAction(r, action) },
	}
}

func (d *Dashboard) loadAction(r *http.Request, action string) (content, error) {
	runID, err := d.resolveRun(r)
	if err != nil {
		return content{}, err
	}
	data, err := d.preview(r.Context(), runID, action)
	return actionContent(data), err
}

func actionContent(data actionData) content {
	return content{Title: actionTitles[data.Action] + " run " + shortID(data.Run.RunID), Data: data}
}

// preview says what the action would do now.
func (d *Dashboard) preview(ctx context.Context, runID uuid.UUID, action string) (data actionData, err error) {
	ctx, cancel := context.WithTimeout(ctx, previewTimeout)
	defer cancel()
	data = actionData{Action: action}
	if data.Run, err = d.cfg.History.RunDetails(ctx, runID); err != nil {
		return data, err
	}
	data.Seen = seen(data.Run)
	if refused := operate.Refused(operate.Action(action), runID, backfill.RunStatus(data.Run.Status)); refused != nil {
		data.Refusal = refused.PageWords()
		return data, nil
	}
	switch action {
	case actionRollback:
		err = d.previewRollback(ctx, &data)
	case actionRetry:
		data.Failures, err = d.cfg.History.FailedChunks(ctx, runID)
	case actionCancel:
		var state backfill.LedgerState
		if state, err = d.cfg.Live.State(ctx, runID); err == nil {
			progress := newProgress(state)
			data.Progress = &progress
			data.Run.TakeLive(state)
		} else if errors.Is(err, backfill.ErrUnknownRun) {
			data.Refusal, err = "Redis does not know this run. Workers rebuild it within seconds; cancel it then.", nil
		}
	}
	return data, err
}

func (d *Dashboard) previewRollback(ctx context.Context, data *actionData) error {
	select {
	case d.previews <- struct{}{}:
		defer func() { <-d.previews }()
	case <-ctx.Done():
		return ctx.Err()
	}
	preview, err := d.cfg.Actions.PreviewRollback(ctx, data.Run.RunID)
	if refused, ok := errors.AsType[*backfill.RefusedError](err); ok { // its status changed meanwhile
		data.Refusal = refused.PageWords()
		return nil
	}
	if err != nil {
		return err
	}
	data.Rollback = &preview
	if len(preview.Removed) > 0 {
		data.NeedsForce = "Sweeps have removed versions that an exact undo would need. Rolling back all the same leaves gaps there."
	}
	return nil
}

// seen is the state of a run, as far as actions depend on it.
func seen(run backfill.RunRow) string { return fmt.Sprintf("%s:%d", run.Status, run.Attempt) }

// act is POST /runs/{id}/<action>: it looks again at what was previewed, writes down who asks for what, does it, and
// writes down how it ended.
func (d *Dashboard) act(action string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runID, err := uuid.Parse(r.PathValue("id"))
		if err != nil {
			d.fail(w, r, notFound("There is no such run: actions want a whole run id."))
			return
		}
		form, err := readForm(r)
		if err != nil {
			d.fail(w, r, err)
			return
		}
		if outages := d.cfg.Live.Outages(silentFor); len(outages) > 0 {
			d.fail(w, r, away(outages))
			return
		}
		run, err := attend(d, r, func(r *http.Request) (backfill.RunRow, error) { return d.cfg.History.RunDetails(r.Context(), runID) })
		if err != nil {
			d.fail(w, r, err)
			return
		}
		if form.seen != "" && form.seen != seen(run) {
			d.refuse(w, r, runID, action, "The run has changed since you looked: it is "+run.Status+" now. Look again at what would happen.")
			return
		}
		ctx, cancel := d.actionContext(w, r)
		defer cancel()
		err = d.recorded(ctx, r, backfill.OperatorAction{Action: action, RunID: runID, Reason: form.reason, Detail: form.detail()}, func(ctx context.Context, by string) (string, error) {
			return d.perform(ctx, action, runID, backfill.UndoRequest{By: by, Reason: form.reason}, form.force)
		})
		switch why := refused(err); {
		case why != "":
			d.refuse(w, r, runID, action, why)
		case err != nil:
			d.fail(w, r, err)
		case wantsJSON(r):
			d.writeJSON(w, r, http.StatusOK, map[string]string{"action": action, "run_id": runID.String(), "result": backfill.ActionDone})
		default:
			http.Redirect(w, r, "/runs/"+runID.String()+"?did="+action, http.StatusSeeOther)
		}
	})
}

// perform does it; detail is for the record.
func (d *Dashboard) perform(ctx context.Context, action string, runID uuid.UUID, request backfill.UndoRequest, force bool) (detail string, err error) {
	detail = actionForm{force: force}.detail()
	switch action {
	case actionRollback:
		return detail, d.cfg.Actions.RollBack(ctx, runID, request, force)
	case actionRestore:
		return "", d.cfg.Actions.Restore(ctx, runID, request)
	case actionRetry:
		run, err := d.cfg.Actions.Retry(ctx, runID, force)
		if err != nil {
			return detail, err
		}
		return fmt.Sprintf("attempt %d, %d chunks", run.Attempt, run.AttemptChunks()), nil
	case actionCancel:
		return "", d.cfg.Actions.Cancel(ctx, runID)
	}
	panic("unknown action " + action)
}

// refused is the sentence for visitors when the state of the run forbids the action; empty for other errors.
func refused(err error) string {
	if refused, ok := errors.AsType[*backfill.RefusedError](err); ok {
		return refused.Error()
	}
	return ""
}

// refuse shows what would happen now, and why nothing was done.
func (d *Dashboard) refuse(w http.ResponseWriter, r *http.Request, runID uuid.UUID, action, why string) {
	if wantsJSON(r) {
		d.showError(w, r, http.StatusConflict, why)
		return
	}
	data, err := d.preview(r.Context(), runID, action)
	if err != nil {
		d.fail(w, r, err)
		return
	}
	data.Problem = why
	shown := actionContent(data)
	d.render(w, r, http.StatusConflict, "action.html", view{Title: shown.Title, Section: "Runs", Data: shown.Data})
}

// actionForm is what an action's form sends.
type actionForm struct {
	reason string
	force  bool
	seen   string
}

// detail is what the record says of the form beside the reason.
func (f actionForm) detail() string {
	if f.force {
		return "forced"
	}
	return ""
}

func readForm(r *http.Request) (actionForm, error) {
	if err := r.ParseForm(); err != nil {
		return actionForm{}, badRequest("The form could not be read: it is malformed or too large.")
	}
	q := query{values: r.PostForm}
	form := actionForm{reason: q.text("reason"), seen: q.text("seen"), force: q.oneOf("force", "yes") == "yes"}
	return form, q.err()
}

// actionContext lets an action go on when its visitor leaves; it ends with the dashboard.
func (d *Dashboard) actionContext(w http.ResponseWriter, r *http.Request) (context.Context, context.CancelFunc) {
	extendDeadlines(w, d.cfg.Now().Add(actionTimeout))
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), actionTimeout)
	stop := context.AfterFunc(d.closing, cancel)
	return ctx, func() { stop(); cancel() }
}

// extendDeadlines gives a long answer its time; a connection that knows no deadlines has none to extend.
func extendDeadlines(w http.ResponseWriter, until time.Time) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(until)
	_ = control.SetWriteDeadline(until)
}

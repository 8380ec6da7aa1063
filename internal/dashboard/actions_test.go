package dashboard_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// recordedActions are the actions as the record has them, the newest first: action, result.
func (w *harness) recordedActions(t testing.TB) (list []string) {
	t.Helper()
	actions, err := w.Reports().OperatorActions(t.Context(), uuid.Nil, 100)
	require.NoError(t, err)
	for _, a := range actions {
		list = append(list, a.Action+" "+a.Result+" "+strings.Split(a.By, "@")[0])
	}
	return list
}

func (w *harness) status(t testing.TB, run backfill.Run) string {
	t.Helper()
	row, err := w.History.RunDetails(t.Context(), run.ID())
	require.NoError(t, err)
	return row.Status
}

// Roll back, restore, retry, cancel: each does it, says so, refuses what the state forbids, and is written down.
func TestActions(t *testing.T) {
	t.Parallel()
	w := setup(t)
	h := w.seed(t)
	cookie := with(w.logIn(t))
	act := func(run backfill.Run, action string, values url.Values) answer {
		return w.post(t, "/runs/"+run.ID().String()+"/"+action, values, cookie)
	}

	a := act(h.completed, "rollback", url.Values{"reason": {"wrong prices"}, "seen": {"completed:1"}})
	require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Equal(t, "rolled_back", w.status(t, h.completed))
	require.Contains(t, w.get(t, a.Header.Get("Location")).body, "The run is rolled back")
	a = act(h.completed, "rollback", nil)
	require.Equal(t, http.StatusConflict, a.StatusCode)
	require.Contains(t, a.body, "rolled back already")
	a = act(h.completed, "restore", url.Values{"seen": {"completed:1"}})
	require.Equal(t, http.StatusConflict, a.StatusCode, "it has changed since")
	require.Contains(t, a.body, "has changed since you looked")
	require.Equal(t, http.StatusSeeOther, act(h.completed, "restore", nil).StatusCode)
	require.Equal(t, "completed", w.status(t, h.completed))
	require.Equal(t, http.StatusConflict, act(h.completed, "restore", nil).StatusCode)
	require.Equal(t, http.StatusConflict, act(h.completed, "retry", nil).StatusCode)
	require.Equal(t, http.StatusConflict, act(h.completed, "cancel", nil).StatusCode)
	require.Equal(t, http.StatusConflict, act(h.running, "rollback", nil).StatusCode)

	require.Equal(t, http.StatusSeeOther, act(h.running, "cancel", url.Values{"seen": {"running:1"}}).StatusCode)
	require.Equal(t, "cancelled", w.ended(t, h.running).Status)
	a = act(h.running, "retry", nil)
	require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Equal(t, "running", w.status(t, h.running))
	w.work(t)
	row := w.ended(t, h.running)
	require.EqualValues(t, 2, row.Attempt)

	unknown := act(backfill.Run{}, "cancel", nil)
	require.Equal(t, http.StatusNotFound, unknown.StatusCode)
	require.Equal(t, []string{
		"retry done ana", "cancel done ana", "rollback refused ana", "cancel refused ana", "retry refused ana", "restore refused ana",
		"restore done ana", "rollback refused ana", "rollback done ana",
	}, w.recordedActions(t))
	require.Contains(t, w.get(t, "/runs/"+h.completed.ID().String()).body, "wrong prices")
	require.Contains(t, w.get(t, "/fleet").body, "attempt 2, 12 chunks")
}

func TestActionsByScript(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.market(t)
	run := w.launch(t, 1, 2)
	path := "/runs/" + run.ID().String() + "/cancel"
	require.Equal(t, http.StatusUnauthorized, w.post(t, path, nil).StatusCode)
	a := w.post(t, path, nil, bearer, asJSON)
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Contains(t, a.body, `"result": "done"`)
	a = w.post(t, path, nil, bearer, asJSON)
	require.Equal(t, http.StatusConflict, a.StatusCode)
	require.Contains(t, a.body, `"error"`)
	require.Equal(t, []string{"cancel refused bearer", "cancel done bearer"}, w.recordedActions(t))
}

// An action is carried out and its answer is true even when the record cannot be written (R7).
func TestARecordThatCannotBeWrittenStopsNoAction(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.market(t)
	run := w.launch(t, 1, 2)
	w.env.ClickHouse(t, "RENAME TABLE "+w.env.Database+".ohlcv_operator_actions TO "+w.env.Database+".elsewhere")
	a := w.post(t, "/runs/"+run.ID().String()+"/cancel", nil, bearer, asJSON)
	require.Equal(t, http.StatusOK, a.StatusCode, a.body)
	require.Equal(t, "cancelled", w.ended(t, run).Status)
}

func TestSweep(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.market(t)
	stop := w.work(t)
	first, second := w.launch(t, 2, 2), w.launch(t, 2, 2)
	w.ended(t, first)
	w.ended(t, second)
	stop()
	count := func() string {
		return w.env.ClickHouse(t, "SELECT count() FROM "+w.env.Database+".ohlcv_candle_versions FINAL")
	}
	before := count()
	var shown struct{ Redundant int64 }
	require.Eventually(t, func() bool { // a run is settled a moment after its end
		a := w.get(t, "/api/sweep?preview=yes&older_than=0s", bearer)
		require.NoError(t, json.Unmarshal([]byte(a.body), &shown), a.body)
		return shown.Redundant > 0
	}, 2*time.Minute, 100*time.Millisecond)
	require.Equal(t, before, count(), "a preview removes nothing")
	a := w.post(t, "/sweep", url.Values{"older_than": {"0s"}}, bearer)
	require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
	require.Eventually(t, func() bool { return strings.Contains(w.get(t, "/sweep", bearer).body, "The last one") }, 2*time.Minute, 50*time.Millisecond)
	require.NotEqual(t, before, count())
	require.Equal(t, []string{"sweep done bearer"}, w.recordedActions(t))
	require.Equal(t, "all intervals, runs older than 0s\n", w.env.ClickHouse(t, "SELECT detail FROM "+w.env.Database+".ohlcv_operator_actions WHERE phase = 'asked'"))
}

// The monitor by itself answers 500, its own page, and as many tasks as it is asked for.
func TestBadQuestionsToTheQueueMonitorGetAProperStatus(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.market(t)
	w.launch(t, 1, 1)
	for path, status := range map[string]int{
		"queues": http.StatusOK, "queues/ingest/pending_tasks?size=100&page=1": http.StatusOK,
		"queues/nothing": http.StatusNotFound, "queues/nothing/pending_tasks": http.StatusNotFound, "queues/ingest:pause": http.StatusNotFound,
		"nothing": http.StatusNotFound, "": http.StatusNotFound, "queues/ingest/tasks/nothing": http.StatusNotFound,
		"queues/ingest/pending_tasks?size=100000000": http.StatusBadRequest, "queues/ingest/pending_tasks?page=-1": http.StatusBadRequest,
	} {
		a := w.get(t, "/queues/api/"+path)
		require.Equal(t, status, a.StatusCode, "%s: %s", path, a.body)
		require.NotContains(t, a.body, "<", path)
		if status == http.StatusOK {
			require.Equal(t, "application/json", a.Header.Get("Content-Type"), path)
		}
	}
}

// Those who know the token may change queues, and it is written down; others look.
func TestQueues(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.market(t)
	run := w.launch(t, 1, 1)
	a := w.get(t, "/queues/")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Contains(t, a.body, `window.FLAG_READ_ONLY="true"`)
	require.NotContains(t, a.body, "fonts.googleapis.com")
	require.Contains(t, w.get(t, "/queues/", bearer).body, `window.FLAG_READ_ONLY="false"`)
	pending := w.get(t, "/queues/api/queues/ingest/pending_tasks").body
	require.Contains(t, pending, "run "+run.ID().String()+", attempt 1: 1m candles of solana:")

	require.Equal(t, http.StatusUnauthorized, w.post(t, "/queues/api/queues/ingest:pause", nil, asJSON).StatusCode)
	require.Equal(t, http.StatusNoContent, w.post(t, "/queues/api/queues/ingest:pause", nil, bearer).StatusCode)
	require.Contains(t, w.get(t, "/fleet").body, "paused")
	actions, err := w.Reports().OperatorActions(t.Context(), uuid.Nil, 10)
	require.NoError(t, err)
	require.Len(t, actions, 1)
	require.Equal(t, backfill.ActionDone, actions[0].Result)
	require.Equal(t, "POST /queues/ingest:pause", actions[0].Detail)

	a = w.send(t, http.MethodDelete, "/queues/api/queues/nothing/archived_tasks:delete_all", nil, bearer)
	require.Equal(t, http.StatusNotFound, a.StatusCode, a.body)
	actions, err = w.Reports().OperatorActions(t.Context(), uuid.Nil, 1)
	require.NoError(t, err)
	require.Equal(t, backfill.ActionFailed, actions[0].Result)
	require.Equal(t, "DELETE /queues/nothing/archived_tasks:delete_all: Not Found", actions[0].Detail)
	require.Equal(t, "2\n", w.env.ClickHouse(t, "SELECT count() FROM "+w.env.Database+".ohlcv_operator_actions WHERE phase = 'asked' AND detail LIKE '% /queues/%'"),
		"who dies in between has written down what was asked for")
}

package wiring_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"quantbot/internal/alert"
	"quantbot/internal/backfill"
	"quantbot/internal/source/budget"
)

// Each attempt is an event; a good run and a retry that ends well are none.
func TestWhatIsReportedOfEnds(t *testing.T) {
	t.Parallel()
	w, r := setup(t), newReceiver(t)
	good, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), good, chunks, false))
	requireExact(t, w.work(t, good), 2)
	bad, chunks := newRun(t, 2)
	require.NoError(t, w.launcher.Launch(t.Context(), bad, chunks, false))
	w.failChunks(t, bad, chunks)
	require.NoError(t, w.Finisher(w.logger, time.Now).Finish(t.Context(), bad.ID(), 1))
	second := w.retry(t, bad) // begun before anybody looked
	now := &clock{}
	n := w.notifier(t, r, "n", now)
	require.NoError(t, n.Look(t.Context()))
	w.workUntil(t, func() { requireExact(t, w.endedAttempt(t, second), 2) })
	require.NoError(t, n.Look(t.Context()))
	events, _ := r.got()
	require.Len(t, events, 1)
	require.Equal(t, 1, events[0].Run.Attempt)
	require.Contains(t, events[0].Text, "2 of 2 chunks failed")
	require.Contains(t, events[0].Text, "HTTP 404: no such token")

	for status, record := range map[alert.Kind]backfill.RunRecord{
		alert.KindHalted: {Status: backfill.StatusFailed, ErrorMessage: "halted: 3 credits used, above the cap of 2", CancelledChunks: 1},
		alert.KindFaulty: {Status: backfill.StatusCompleted, Stats: backfill.Stats{Fetched: 100, Inserted: 90, Rejected: 10}},
		"":               {Status: backfill.StatusCompleted, Stats: backfill.Stats{Fetched: 100, Inserted: 91, Rejected: 9}},
	} {
		record.Run, _ = newRun(t, 2)
		record.CompletedAt = time.Now()
		require.NoError(t, w.History.Finished(t.Context(), record))
		now.ahead += alert.PostEvery
		require.NoError(t, n.Look(t.Context()))
		events, _ = r.got()
		last := events[len(events)-1]
		require.Equal(t, status != "", last.Run.ID == record.ID(), status)
		if status != "" {
			require.Equal(t, status, last.Kind)
		}
	}
	require.Len(t, events, 3)
}

// A run of which nothing has ended for half an hour is stuck, unless its source is parked, which is reported instead.
func TestStuckRunsAndExhaustedQuotasAreDelivered(t *testing.T) {
	t.Parallel()
	w, r, now := setup(t), newReceiver(t), &clock{}
	run, chunks := newRun(t, 3)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	require.NoError(t, w.takeUp(t, run, chunks[0], "never"))
	n := w.notifier(t, r, "n", now)
	look := func() []alert.Event {
		now.ahead += 2 * time.Minute
		w.expireDuties(t)
		require.NoError(t, n.Look(t.Context()))
		events, _ := r.got()
		return events
	}
	require.Empty(t, look(), "it has just shown a sign")
	w.silence(t, 31)
	account := budget.NewAccount("one", "")
	require.NoError(t, budget.Register(t.Context(), w.Redis, account, time.Now()))
	b := budget.New(budget.Config{Redis: w.Redis, Account: account, PerSecond: 1, Member: "m", Logger: w.logger, Now: time.Now})
	b.Park(t.Context(), time.Hour)
	events := look()
	require.Len(t, events, 1)
	require.Equal(t, alert.KindQuota, events[0].Kind)
	require.Contains(t, events[0].Text, "sources-unpark one")
	require.Len(t, look(), 1, "once a day")

	_, err := budget.Unpark(t.Context(), w.Redis, "one")
	require.NoError(t, err)
	events = look()
	require.Len(t, events, 2)
	require.Equal(t, alert.KindStuck, events[1].Kind)
	require.Contains(t, events[1].Text, "no chunk has ended for 31m0s, 2 of 3 are left")
	require.Len(t, look(), 2, "once")
}

// silence lets so many minutes pass since the last outcome.
func (w *harness) silence(t *testing.T, minutes int) {
	t.Helper()
	table := w.env.Database + ".ohlcv_ingestion_tasks"
	w.env.ClickHouse(t, fmt.Sprintf("INSERT INTO %s SELECT * REPLACE (recorded_at - INTERVAL %d MINUTE AS recorded_at) FROM %s", table, minutes, table))
	w.env.ClickHouse(t, fmt.Sprintf("ALTER TABLE %s DELETE WHERE recorded_at > now() - INTERVAL %d MINUTE SETTINGS mutations_sync = 2", table, minutes-1))
}

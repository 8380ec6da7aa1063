package wiring_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/alert"
	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/config"
	"quantbot/internal/secret"
	"quantbot/internal/wiring"
)

// receiver is a webhook's other end. It takes events, or answers as it is set to.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []alert.Event
	answer func(http.ResponseWriter) // nil = takes it
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(r.take))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) take(w http.ResponseWriter, request *http.Request) {
	body, _ := io.ReadAll(request.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answer != nil {
		r.answer(w)
		return
	}
	var e alert.Event
	if err := json.Unmarshal(body, &e); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.events = append(r.events, e)
}

func (r *receiver) answers(answer func(http.ResponseWriter)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

// got are the deliveries so far, and ids the events among them.
func (r *receiver) got() (events []alert.Event, ids map[uuid.UUID]int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	ids = make(map[uuid.UUID]int)
	for _, e := range r.events {
		ids[e.ID]++
	}
	return slices.Clone(r.events), ids
}

// notifier is a worker's, under a name of its own and with a clock of its own.
func (w *harness) notifier(t *testing.T, r *receiver, name string, clock *clock) *alert.Notifier {
	t.Helper()
	cfg := config.Config{Alerts: config.Alerts{WebhookURL: secret.Text(r.URL), WebhookSecret: "s", ErrorRate: 0.1}}
	webhook, ok, err := wiring.NewWebhook(cfg, "v", time.Now)
	require.NoError(t, err)
	require.True(t, ok)
	t.Cleanup(webhook.Close)
	return w.Notifier(webhook, cfg.Alerts.ErrorRate, name, nil, w.logger, clock.now)
}

// clock is moved by the test.
type clock struct{ ahead time.Duration }

func (c *clock) now() time.Time { return time.Now().Add(c.ahead) }

// refusing is a source that will never answer.
type refusing struct{ backfill.Source }

func (refusing) Candles(context.Context, candle.Token, candle.Interval, candle.Range) iter.Seq2[backfill.Page, error] {
	return func(yield func(backfill.Page, error) bool) {
		yield(backfill.Page{}, backfill.WithClass(backfill.ClassPermanent, errors.New("HTTP 404: no such token")))
	}
}

// failChunks has all chunks of the run fail, without finishing it.
func (w *harness) failChunks(t *testing.T, run backfill.Run, chunks []backfill.Chunk) {
	t.Helper()
	for _, chunk := range chunks {
		h := w.handler()
		h.Worker.Filler.Source = only(refusing{w.source})
		_ = h.ProcessTask(t.Context(), w.task(t, run, chunk)) // asynq would archive the task by its error
	}
}

// crashingReceiver and crashingAlerts are what a crashing notifier sees.
type crashingReceiver struct {
	alert.Receiver
	*crashingProcess
}

func (r crashingReceiver) Deliver(ctx context.Context, e alert.Event) (alert.Receipt, error) {
	if err := r.reach("before delivering"); err != nil {
		return alert.Receipt{}, err
	}
	return r.Receiver.Deliver(ctx, e)
}

type crashingAlerts struct {
	alert.History
	*crashingProcess
}

func (h crashingAlerts) RecordDelivered(ctx context.Context, e alert.Event) error {
	if err := h.reach("after delivering"); err != nil {
		return err
	}
	return h.History.RecordDelivered(ctx, e)
}

// Wherever the finisher of a failed run dies, and whoever delivers dies after it, with or without Redis being lost: the
// receiver hears of the run at least once, and of one event.
func TestAFailedRunIsReportedUnderOneIDWhoeverDies(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"never", "after freezing", "after settling", "after writing the end", "before delivering", "after delivering"} {
		for _, lost := range []bool{false, true} {
			name := point
			if lost {
				name += ", redis lost"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				w, r := setup(t), newReceiver(t)
				run, chunks := newRun(t, 2)
				require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
				w.failChunks(t, run, chunks)
				m, time0 := &crashingProcess{point: point}, &clock{}
				finisher := &backfill.Finisher{
					Ledger: crashingFinishLedger{w.Ledger, m}, History: crashingFinishHistory{w.History, m}, Logger: w.logger, Now: time.Now,
				}
				_ = finisher.Finish(t.Context(), run.ID(), 1)
				if !m.dead {
					n := w.notifier(t, r, "crashing", time0)
					n.Receiver, n.History = crashingReceiver{n.Receiver, m}, crashingAlerts{n.History, m}
					_ = n.Look(t.Context())
				}
				require.Equal(t, point != "never", m.dead)

				if lost {
					require.NoError(t, w.Redis.FlushDB(t.Context()).Err())
				}
				w.expireDuties(t)
				w.round(t) // finishes what was settled, or rebuilds what was lost
				w.failChunksLeft(t, run, chunks)
				other := w.notifier(t, r, "other", time0)
				for range 3 {
					require.NoError(t, other.Look(t.Context()))
				}
				events, ids := r.got()
				require.NotEmpty(t, events)
				require.Len(t, ids, 1)
				require.Equal(t, alert.KindFailed, events[0].Kind)
				require.Equal(t, run.ID(), events[0].Run.ID)
				require.LessOrEqual(t, len(events), 2, "again only after a death between delivery and note")
				if point != "after delivering" {
					require.Len(t, events, 1)
				}
			})
		}
	}
}

// expireDuties lets the time of dead processes' leases pass.
func (w *harness) expireDuties(t *testing.T) {
	t.Helper()
	require.NoError(t, w.Redis.Del(t.Context(), "quantbot:lease:alerts").Err())
}

// failChunksLeft lets a rebuilt run fail again: its failed chunks are planned again when the ledger is lost.
func (w *harness) failChunksLeft(t *testing.T, run backfill.Run, chunks []backfill.Chunk) {
	t.Helper()
	record, err := w.History.Run(t.Context(), run.ID())
	require.NoError(t, err)
	if record.Status == backfill.StatusRunning {
		w.failChunks(t, run, chunks)
		require.NoError(t, w.Finisher(w.logger, time.Now).Finish(t.Context(), run.ID(), 1))
	}
	require.Equal(t, backfill.StatusFailed, w.ended(t, run).Status)
}

// A receiver that is away or refuses is asked again, later and later; what it took is not sent again; the run does not
// wait for it.
func TestAnAlertIsTriedUntilItIsTaken(t *testing.T) {
	t.Parallel()
	w, r, now := setup(t), newReceiver(t), &clock{}
	run, chunks := newRun(t, 1)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	w.failChunks(t, run, chunks)
	require.NoError(t, w.Finisher(w.logger, time.Now).Finish(t.Context(), run.ID(), 1))
	tries := 0
	r.answers(func(rw http.ResponseWriter) {
		tries++
		if tries == 2 {
			rw.Header().Set("Retry-After", "120")
		}
		rw.WriteHeader(http.StatusInternalServerError)
	})
	n := w.notifier(t, r, "n", now)
	look := func(after time.Duration) int {
		now.ahead += after
		before := tries
		require.NoError(t, n.Look(t.Context()))
		return tries - before
	}
	require.Equal(t, 1, look(0))
	require.Equal(t, 0, look(5*time.Second))
	require.Equal(t, 1, look(10*time.Second))
	require.Equal(t, 0, look(110*time.Second), "it asked to be left alone")
	require.Equal(t, 1, look(60*time.Second))
	r.answers(nil)
	require.NoError(t, n.Look(t.Context()))
	events, _ := r.got()
	require.Empty(t, events)
	now.ahead += 5 * time.Minute
	require.NoError(t, n.Look(t.Context()))
	require.NoError(t, n.Look(t.Context()))
	events, _ = r.got()
	require.Len(t, events, 1)
	require.Equal(t, "1\n", w.count(t, "ohlcv_alerts"))
}

// One process at a time delivers; one that dies is replaced when its lease is over.
func TestOneProcessDelivers(t *testing.T) {
	t.Parallel()
	w, r := setup(t), newReceiver(t)
	a, b := w.notifier(t, r, "a", &clock{}), w.notifier(t, r, "b", &clock{})
	require.NoError(t, a.Look(t.Context()))
	run, chunks := newRun(t, 1)
	require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
	w.failChunks(t, run, chunks)
	require.NoError(t, w.Finisher(w.logger, time.Now).Finish(t.Context(), run.ID(), 1))
	require.NoError(t, b.Look(t.Context()))
	events, _ := r.got()
	require.Empty(t, events)
	w.expireDuties(t)
	require.NoError(t, b.Look(t.Context()))
	require.NoError(t, a.Look(t.Context()))
	events, _ = r.got()
	require.Len(t, events, 1)
}

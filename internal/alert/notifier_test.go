package alert

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// ended is a history of runs that ended badly, in memory.
type ended struct {
	ends      []End
	delivered []uuid.UUID
}

func (h *ended) UndeliveredFailures(context.Context, time.Time) (undelivered []End, err error) {
	for _, end := range h.ends {
		if !slices.Contains(h.delivered, Ended(end).ID) {
			undelivered = append(undelivered, end)
		}
	}
	return undelivered, nil
}

func (h *ended) Running(context.Context) ([]StalledRun, error)  { return nil, nil }
func (h *ended) Delivered(context.Context, Event) (bool, error) { return false, nil }

func (h *ended) RecordDelivered(_ context.Context, e Event) error {
	h.delivered = append(h.delivered, e.ID)
	return nil
}

func (h *ended) fail(runs int) {
	for range runs {
		h.ends = append(h.ends, End{Run: RunFacts{ID: uuid.New(), Attempt: 1, Status: "failed", Planned: 2, Failed: 1}, Source: "birdeye", At: time.Now()})
	}
}

// inbox is a receiver that refuses what holds the poisoned run.
type inbox struct {
	posts  []Event
	poison uuid.UUID
}

func (r *inbox) Deliver(_ context.Context, e Event) (Receipt, error) {
	for _, one := range append(slices.Clone(e.Events), e) {
		if one.Run != nil && one.Run.ID == r.poison {
			return Receipt{}, &RefusedError{Receipt: Receipt{Status: http.StatusBadRequest}}
		}
	}
	r.posts = append(r.posts, e)
	return Receipt{}, nil
}

func newNotifier(h *ended, r *inbox) *Notifier {
	return &Notifier{
		History: h, Receiver: r, Logger: slog.New(slog.DiscardHandler), Now: time.Now,
		Parked: func(context.Context) ([]Parking, error) { return nil, nil },
		Lease:  func(context.Context, time.Duration) (bool, error) { return true, nil },
	}
}

// lookFor looks as Run does, for so long.
func (n *Notifier) lookFor(t *testing.T, d time.Duration) {
	t.Helper()
	for until := time.Now().Add(d); time.Now().Before(until); time.Sleep(Every) {
		require.NoError(t, n.Look(t.Context()))
	}
}

// The first alert of a quiet time goes at once; what follows within a minute goes together, each under its own id.
func TestAlertsOfOneMinuteGoInOnePost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h, r := &ended{}, &inbox{}
		n := newNotifier(h, r)
		h.fail(1)
		n.lookFor(t, Every)
		require.Len(t, r.posts, 1)
		require.Equal(t, KindFailed, r.posts[0].Kind)
		for range 5 {
			h.fail(6)
			n.lookFor(t, Every)
		}
		n.lookFor(t, 2*PostEvery)
		require.Len(t, r.posts, 2)
		several := r.posts[1]
		require.Equal(t, KindSeveral, several.Kind)
		require.Contains(t, several.Text, "quantbot: 30 alerts:\n- run "+several.Events[0].Run.ID.String()+" failed")
		require.Len(t, several.Events, 30)
		require.Len(t, h.delivered, 31)
		for i, e := range several.Events {
			require.Equal(t, Ended(h.ends[i+1]).ID, e.ID, "the id that it has alone")
		}
		require.Equal(t, several.ID, Together(several.Events).ID, "a second delivery has the same id")
	})
}

// One event that the receiver does not take keeps the others back for one pause only.
func TestAnAlertThatIsRefusedDoesNotHoldOthersBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := &ended{}
		h.fail(4)
		r := &inbox{poison: h.ends[1].Run.ID}
		n := newNotifier(h, r)
		n.lookFor(t, 5*PostEvery)
		require.Len(t, h.delivered, 3)
		require.NotContains(t, h.delivered, Ended(h.ends[1]).ID)
		r.poison = uuid.Nil
		n.lookFor(t, maxPause+maxPause/4+PostEvery)
		require.Len(t, h.delivered, 4)
	})
}

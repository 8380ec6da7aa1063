package backfill

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// memoryWaits keeps what was shown last.
type memoryWaits map[uuid.UUID][]Wait

func (s memoryWaits) ShowWaits(_ context.Context, runID uuid.UUID, _ string, _ time.Time, waits []Wait) error {
	s[runID] = waits
	return nil
}

// A chunk that met a source that is down goes back to its queue and is taken up again after a moment, in which nobody asks:
// the run waits all the same, and must not be said to go on.
func TestARunWaitsForASourceBetweenTwoTries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		shown, down := memoryWaits{}, true
		runID := uuid.New()
		w := &Waits{
			Ledger: shown, Worker: "a", Logger: slog.New(slog.DiscardHandler), Now: time.Now,
			Store:  func() (Wait, bool) { return Wait{}, false },
			Source: func(name string) (Wait, bool) { return Wait{On: name, Reason: WaitSourceDown}, down },
		}
		for range 5 {
			answered := w.ask(runID, "birdeye")
			time.Sleep(time.Second)
			answered()
			time.Sleep(6 * time.Second)
			w.Show(t.Context())
			require.Len(t, shown[runID], 1)
			require.Len(t, shown[uuid.Nil], 1)
		}
		down = false
		w.Show(t.Context())
		require.Empty(t, shown[runID], "at once when it works")
		down = true
		time.Sleep(time.Minute)
		w.Show(t.Context())
		require.Empty(t, shown[runID], "nobody has a chunk of it any more")
		require.Empty(t, w.asked)
	})
}

package wiring_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"quantbot/internal/backfill"
)

// crashingFinishLedger is what a crashing finisher sees.
type crashingFinishLedger struct {
	backfill.FinishLedger
	*crashingProcess
}

func (l crashingFinishLedger) Settle(ctx context.Context, runID uuid.UUID, record backfill.RunRecord) error {
	if err := l.reach("after freezing"); err != nil {
		return err
	}
	return l.FinishLedger.Settle(ctx, runID, record)
}

func (l crashingFinishLedger) Archive(ctx context.Context, runID uuid.UUID, attempt int) error {
	if err := l.reach("after writing the end"); err != nil {
		return err
	}
	return l.FinishLedger.Archive(ctx, runID, attempt)
}

type crashingFinishHistory struct {
	backfill.FinishHistory
	*crashingProcess
}

func (h crashingFinishHistory) Finished(ctx context.Context, record backfill.RunRecord) error {
	if err := h.reach("after settling"); err != nil {
		return err
	}
	return h.FinishHistory.Finished(ctx, record)
}

// Wherever a finisher dies, the run ends once, with the numbers that were settled first.
func TestAFinisherMayDieAnywhere(t *testing.T) {
	t.Parallel()
	for _, point := range []string{"after freezing", "after settling", "after writing the end"} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			w := setup(t)
			run, chunks := newRun(t, 2)
			require.NoError(t, w.launcher.Launch(t.Context(), run, chunks, false))
			for _, chunk := range chunks {
				require.NoError(t, w.takeUp(t, run, chunk, "never"))
			}
			m := &crashingProcess{point: point}
			finisher := &backfill.Finisher{
				Ledger: crashingFinishLedger{w.Ledger, m}, History: crashingFinishHistory{w.History, m}, Logger: w.logger, Now: time.Now,
			}
			_ = finisher.Finish(t.Context(), run.ID(), 1)
			require.True(t, m.dead)
			w.round(t)
			requireExact(t, w.ended(t, run), 2)
			w.requireOneEnd(t, run)
			active, err := w.Ledger.ActiveRuns(t.Context())
			require.NoError(t, err)
			require.Empty(t, active)
		})
	}
}

// requireOneEnd: the log may say the same end twice, never two different ones.
func (w *harness) requireOneEnd(t *testing.T, run backfill.Run) {
	t.Helper()
	ends := w.env.ClickHouse(t, `SELECT max(n) FROM (SELECT count() AS n FROM (SELECT DISTINCT * EXCEPT recorded_at
		FROM `+w.env.Database+`.ohlcv_run_lifecycle WHERE phase = 'ended' AND run_id = '`+run.ID().String()+`') GROUP BY attempt)`)
	require.Equal(t, "1\n", ends)
}

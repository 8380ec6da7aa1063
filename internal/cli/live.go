package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/config"
	"quantbot/internal/wiring"
)

// listedRun is a run's row with what only Redis knows of it: while it runs, its counts are those of now.
type listedRun struct {
	backfill.RunRow
	// ParkedUntil is when the source of a running run goes on by itself, after its quota was used up.
	ParkedUntil time.Time `json:"parked_until,omitzero"`
	// Waits are what a running run waits for, the longest first, and WaitingFor the same in words.
	Waits      []backfill.Wait `json:"waits,omitempty"`
	WaitingFor []string        `json:"waiting_for"`
}

func (r listedRun) status() string {
	switch {
	case !r.ParkedUntil.IsZero():
		return fmt.Sprintf("%s (parked until %s)", r.Status, formatTime(r.ParkedUntil))
	case len(r.Waits) > 0:
		return r.Status + " (waits)"
	}
	return r.Status
}

func (r *listedRun) wait(waits []backfill.Wait) {
	r.Waits, r.WaitingFor = waits, backfill.Sentences(waits)
	for _, w := range waits {
		if w.Reason == backfill.WaitParked {
			r.ParkedUntil = w.Until
		}
	}
}

const (
	// mostLive is how many of the listed runs that are running are looked up in Redis.
	mostLive = 50
	// liveWithin keeps a Redis that is away from delaying what the history shows.
	liveWithin = 3 * time.Second
)

// withLive asks Redis how far runs that are running have come and what they wait for. A Redis that does not answer is no
// error: it is what they wait for.
func (a *app) withLive(ctx context.Context, cfg config.Config, rows []backfill.RunRow) []listedRun {
	listed := make([]listedRun, len(rows))
	var running []*listedRun
	for i, row := range rows {
		listed[i] = listedRun{RunRow: row, WaitingFor: []string{}}
		if row.Status == string(backfill.StatusRunning) {
			running = append(running, &listed[i])
		}
	}
	if len(running) == 0 {
		return listed
	}
	ctx, cancel := context.WithTimeout(ctx, liveWithin)
	defer cancel()
	asked := a.now()
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err == nil {
		defer func() { _ = stores.Close() }() // it was only read from
		err = a.readLive(ctx, stores, running[:min(len(running), mostLive)])
	}
	if err != nil && !errors.Is(err, context.Canceled) {
		away, ok := errors.AsType[*backfill.OutageError](err)
		if !ok {
			away = &backfill.OutageError{Wait: backfill.OutageWait(backfill.LedgerName, asked, err)}
		}
		for _, run := range running {
			run.wait([]backfill.Wait{away.Wait})
		}
	}
	return listed
}

func (a *app) readLive(ctx context.Context, stores *wiring.Stores, running []*listedRun) error {
	for _, run := range running {
		state, err := stores.Ledger.State(ctx, run.RunID)
		switch {
		case errors.Is(err, backfill.ErrUnknownRun):
			continue // a worker rebuilds it
		case err != nil:
			return err
		}
		run.TakeLive(state)
		run.wait(stores.Fleet.WaitsOf(ctx, state, a.now()))
	}
	return nil
}

package main

import (
	"context"
	"fmt"
	"time"

	"quantbot/internal/backfill"
	"quantbot/internal/clickhouse"
	"quantbot/internal/config"
	"quantbot/internal/source/budget"
	"quantbot/internal/wiring"
)

// listedRun is a run's row with what only Redis knows of it.
type listedRun struct {
	clickhouse.RunRow
	// ParkedUntil is when the source of a running run goes on by itself, after its quota was used up.
	ParkedUntil time.Time `json:"parked_until,omitzero"`
	// Waits are what a running run waits for, the longest first.
	Waits []backfill.Wait `json:"waits,omitempty"`
}

func (r listedRun) status() string {
	switch {
	case r.ParkedUntil.IsZero() && len(r.Waits) > 0:
		return fmt.Sprintf("%s (waits for %s: %s)", r.Status, r.Waits[0].On, r.Waits[0].Reason)
	case r.ParkedUntil.IsZero():
		return r.Status
	}
	return fmt.Sprintf("%s (parked until %s)", r.Status, formatTime(r.ParkedUntil))
}

// mostWaits is how many of the listed runs that are running are asked what they wait for.
const mostWaits = 50

// withLive asks Redis what runs that are running wait for, and whose source is parked. A Redis that does not answer is no
// error.
func (a *app) withLive(ctx context.Context, cfg config.Config, rows []clickhouse.RunRow) []listedRun {
	listed := make([]listedRun, len(rows))
	var running []*listedRun
	for i, row := range rows {
		listed[i].RunRow = row
		if row.Status == string(backfill.StatusRunning) {
			running = append(running, &listed[i])
		}
	}
	if len(running) == 0 {
		return listed
	}
	ctx, cancel := context.WithTimeout(ctx, repairsWithin)
	defer cancel()
	stores, err := wiring.OpenRedis(ctx, cfg)
	if err != nil {
		return listed
	}
	defer func() { _ = stores.Close() }() // it was only read from
	for _, run := range running[:min(len(running), mostWaits)] {
		if state, err := stores.Ledger.State(ctx, run.RunID); err == nil {
			run.Waits = stores.WaitsOf(ctx, state, a.now())
		}
	}
	all, err := budget.List(ctx, stores.Redis)
	if err != nil {
		return listed
	}
	for _, run := range running {
		run.ParkedUntil = budget.ParkedUntil(all, run.Source)
	}
	return listed
}

// parkedNote says until when a run's source is parked, or nothing. It is only a note: without Redis there is none.
func parkedNote(ctx context.Context, stores *wiring.Stores, source string) string {
	all, err := budget.List(ctx, stores.Redis)
	if err != nil {
		return ""
	}
	until := budget.ParkedUntil(all, source)
	if until.IsZero() {
		return ""
	}
	return parkedText(source, until)
}

func parkedText(source string, until time.Time) string {
	return fmt.Sprintf("%s is parked until %s: its quota is used up (sources-unpark %s)", source, until.Format(time.RFC3339), source)
}

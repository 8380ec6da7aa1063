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
}

func (r listedRun) status() string {
	if r.ParkedUntil.IsZero() {
		return r.Status
	}
	return fmt.Sprintf("%s (parked until %s)", r.Status, formatTime(r.ParkedUntil))
}

// withParked asks Redis whose source is parked, if any of the runs is running. A Redis that does not answer is no error.
func withParked(ctx context.Context, cfg config.Config, rows []clickhouse.RunRow) []listedRun {
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

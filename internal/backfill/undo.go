package backfill

import (
	"context"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// RollbackPreview says what a rollback would do.
type RollbackPreview struct {
	RunID  uuid.UUID `json:"run_id"`
	Status string    `json:"status"`
	// Versions leave the readers' sight, whether they are served now or not.
	Versions int64 `json:"versions_leaving"`
	// Disappearing candles have no other version.
	Disappearing int64 `json:"candles_disappearing"`
	// FallBacks are the candles that other runs would serve instead, most first.
	FallBacks []FallBack `json:"candles_falling_back"`
	// Removed is what sweeps removed, or other runs skipped, because this run's versions were as good.
	Removed []RemovedMonth `json:"versions_removed"`
	// Dependents are the runs that left ranges out because this run had answered for them.
	Dependents []Dependency `json:"runs_relying"`
}

// FallBack is how many candles another run would serve.
type FallBack struct {
	RunID   uuid.UUID `json:"run_id"`
	Candles int64     `json:"candles"`
}

// RemovedMonth is how many versions of a month (YYYYMM) are gone for good.
type RemovedMonth struct {
	Month    uint32 `json:"month" ch:"month"`
	Versions int64  `json:"versions" ch:"versions"`
}

// Dependency is how many candles a run left out because another one had answered for them.
type Dependency struct {
	RunID   uuid.UUID `json:"run_id"`
	Candles int64     `json:"candles"`
}

// UndoRequest says who wants a run hidden or shown, and why.
type UndoRequest struct{ By, Reason string }

// SweepRequest says what to remove.
type SweepRequest struct {
	// Window is how long a run must have been over before it makes others' versions redundant, and how long a rolled-back
	// run can be restored.
	Window time.Duration
	// Intervals limits the sweep; none means all.
	Intervals []candle.Interval
	// By names who sweeps, in the record of what was removed.
	By string
	// DryRun finds and counts, and removes nothing.
	DryRun bool
	// Locked runs one step while no rollback and no other sweep does anything; nil runs it as it is.
	Locked func(ctx context.Context, step func(context.Context) error) error
	// OnSlice, when set, is called after each slice.
	OnSlice func(SweepProgress)
}

// SweepProgress is how far a sweep has come.
type SweepProgress struct {
	Done, Slices int
	Removed      int64
}

// SweptMonth is what a sweep removed of a month (YYYYMM) and interval.
type SweptMonth struct {
	Month     uint32 `json:"month"`
	Interval  string `json:"interval"`
	Versions  int64  `json:"versions"` // looked at
	Redundant int64  `json:"redundant_removed"`
	Purged    int64  `json:"purged_removed"`
}

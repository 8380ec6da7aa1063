package backfill

import (
	"time"

	"quantbot/internal/candle"
)

// OutcomeStatus is how a chunk ended.
type OutcomeStatus string

// A later outcome replaces an earlier one only when it ranks higher: none < failed or cancelled < success (R2).
const (
	OutcomeSuccess   OutcomeStatus = "success"
	OutcomeFailed    OutcomeStatus = "failed"
	OutcomeCancelled OutcomeStatus = "cancelled"
)

// Rank orders outcomes for the ledger's compare-and-set.
func (s OutcomeStatus) Rank() int {
	switch s {
	case OutcomeSuccess:
		return 2
	case OutcomeFailed, OutcomeCancelled:
		return 1
	}
	return 0
}

// Stats counts what happened to the candles of a chunk, or of a run when added up. Fetched is what the source returned
// inside the chunk's range and already closed; R3 demands Fetched = Inserted + Rejected + Deduplicated.
//
// Deduplicated = Shadowed + Skipped, and Inserted + Shadowed is what the store holds. Programs from before they were counted
// apart count Deduplicated alone, see SplitKnown.
type Stats struct {
	Fetched      int64 `json:"fetched"`
	Inserted     int64 `json:"inserted"`
	Rejected     int64 `json:"rejected"`
	Deduplicated int64 `json:"deduplicated"`
	// Shadowed are stored, although they add nothing over what other runs serve: an undo of those may need them.
	Shadowed int64 `json:"shadowed,omitempty"`
	// Skipped are not stored: settled runs serve them, or the answer held them twice.
	Skipped    int64 `json:"skipped,omitempty"`
	ZeroVolume int64 `json:"zero_volume"`
	// Dropped counts candles outside the chunk's range or not closed yet; they are no part of Fetched.
	Dropped  int64 `json:"dropped"`
	APICalls int64 `json:"api_calls"`
	Credits  int64 `json:"credits"`
}

// Add returns the sum of both.
func (s Stats) Add(o Stats) Stats {
	return Stats{
		Fetched:      s.Fetched + o.Fetched,
		Inserted:     s.Inserted + o.Inserted,
		Rejected:     s.Rejected + o.Rejected,
		Deduplicated: s.Deduplicated + o.Deduplicated,
		Shadowed:     s.Shadowed + o.Shadowed,
		Skipped:      s.Skipped + o.Skipped,
		ZeroVolume:   s.ZeroVolume + o.ZeroVolume,
		Dropped:      s.Dropped + o.Dropped,
		APICalls:     s.APICalls + o.APICalls,
		Credits:      s.Credits + o.Credits,
	}
}

// skip counts candles that were taken for new as not stored.
func (s *Stats) skip(n int64) {
	s.Inserted -= n
	s.Deduplicated += n
	s.Skipped += n
}

// shadow counts candles that were taken for new as stored in the shadow of others.
func (s *Stats) shadow(n int64) {
	s.Inserted -= n
	s.Deduplicated += n
	s.Shadowed += n
}

// Balanced reports whether R3 holds, and no more are split than were deduplicated.
func (s Stats) Balanced() bool {
	return s.Fetched == s.Inserted+s.Rejected+s.Deduplicated && s.Shadowed+s.Skipped <= s.Deduplicated
}

// SplitKnown reports whether Shadowed and Skipped are the whole of Deduplicated. They are less where an older program took
// part, whose outcomes do not split them; what they are then is not known.
func (s Stats) SplitKnown() bool { return s.Shadowed+s.Skipped == s.Deduplicated }

// Split returns how deduplicated candles split, and nil where that is not known.
func (s Stats) Split() (shadowed, skipped *int64) {
	if !s.SplitKnown() {
		return nil, nil
	}
	return &s.Shadowed, &s.Skipped
}

// Outcome is what one chunk ended as in one attempt of its run.
type Outcome struct {
	ChunkID ChunkID       `json:"chunk_id"`
	Token   candle.Token  `json:"token"`
	Range   candle.Range  `json:"range"`
	Status  OutcomeStatus `json:"status"`
	Stats   Stats         `json:"stats"`
	// Error is empty on success. It never holds a secret.
	Error      string `json:"error,omitempty"`
	ErrorClass Class  `json:"error_class,omitempty"`
	// Source is the service that answered.
	Source string `json:"source,omitempty"`
	// Files are the published files that the answer was read from; mostly none.
	Files []File `json:"files,omitempty"`
	// AnsweredTo is where a success's answer ends: at the end of the range, or where the candles begin that were not closed yet
	// for the source. 0, in outcomes from before it was recorded, means the whole range.
	AnsweredTo int64 `json:"answered_to,omitempty"`
	// Executions counts how often a worker took the chunk up in this attempt.
	Executions int       `json:"executions"`
	Worker     string    `json:"worker"`
	Version    string    `json:"version"`
	StartedAt  time.Time `json:"started_at"`
	EndedAt    time.Time `json:"ended_at"`
	// Unrecorded says that the history has no row of this outcome yet; Finish writes it (R7).
	Unrecorded bool `json:"unrecorded,omitempty"`
}

package report

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
)

// RunListItem is the part of a run's row that lists show: it is read many times faster than the whole.
type RunListItem struct {
	RunID               uuid.UUID  `json:"run_id" ch:"run_id"`
	StartedAt           time.Time  `json:"started_at" ch:"started_at"`
	CompletedAt         *time.Time `json:"completed_at" ch:"completed_at"` // nil while running
	Status              string     `json:"status" ch:"status"`
	Attempt             uint32     `json:"attempt" ch:"attempt"`
	Source              string     `json:"source" ch:"source"`
	Interval            string     `json:"interval" ch:"interval"`
	RangeFrom           time.Time  `json:"range_from" ch:"range_from"`
	RangeTo             time.Time  `json:"range_to" ch:"range_to"`
	StartedBy           string     `json:"started_by" ch:"started_by"`
	GitCommitHash       string     `json:"git_commit_hash" ch:"git_commit_hash"`
	GitDirty            *bool      `json:"git_dirty" ch:"git_dirty"` // nil = unknown
	InputHash           string     `json:"input_hash" ch:"input_hash"`
	PlannedChunks       int64      `json:"planned_chunks" ch:"planned_chunks"`
	ErrorsCount         int64      `json:"errors_count" ch:"errors_count"`
	CancelledChunks     int64      `json:"cancelled_chunks" ch:"cancelled_chunks"`
	CandlesFetched      int64      `json:"candles_fetched" ch:"candles_fetched"`
	CandlesInserted     int64      `json:"candles_inserted" ch:"candles_inserted"`
	CandlesRejected     int64      `json:"candles_rejected" ch:"candles_rejected"`
	CandlesDeduplicated int64      `json:"candles_deduplicated" ch:"candles_deduplicated"`
	TokensProcessed     int64      `json:"tokens_processed" ch:"tokens_processed"`
	ErrorMessage        string     `json:"error_message" ch:"error_message"`
}

// RunPosition is a run's place in the order of RunsPage; its zero value stands before the newest.
type RunPosition struct {
	StartedAt time.Time // in milliseconds
	RunID     uuid.UUID
}

// RunSearch narrows RunsPage; a zero field is no condition.
type RunSearch struct {
	Status string
	Source string
	// Token is the address of a token that the run had a chunk of.
	Token string
	// Since and Until bound the run's start: [Since, Until).
	Since, Until time.Time
	// Text is the beginning of a run id, an input hash or a commit, or a part of who started the run.
	Text string
	// After is the last run of the page before.
	After RunPosition
	Limit int
}

// RunsPage lists runs, the newest first.
func (db Reader) RunsPage(ctx context.Context, s RunSearch) ([]RunListItem, error) {
	// The run id of the same millisecond counts only after a position; before the newest, any is smaller.
	before, beforeRun := farAhead, uuid.Max
	if !s.After.StartedAt.IsZero() {
		before, beforeRun = s.After.StartedAt.UnixMilli(), s.After.RunID
	}
	until := farAhead
	if !s.Until.IsZero() {
		until = s.Until.UnixMilli()
	}
	rows, err := selectStructs[RunListItem](ctx, db, runsPageSQL,
		named("status", s.Status), named("source", s.Source), named("token", s.Token), named("search", s.Text),
		named("since", max(s.Since.UnixMilli(), 0)), named("until", until),
		named("before", before), named("before_run", beforeRun), named("limit", s.Limit))
	return rows, db.failed("list runs", err)
}

// farAhead is the last moment that the column holds whole, in milliseconds.
var farAhead = time.Unix(math.MaxUint32, 0).UnixMilli()

// RunSources lists the sources that runs have named.
func (db Reader) RunSources(ctx context.Context) ([]string, error) {
	type row struct {
		Source string `ch:"source"`
	}
	rows, err := selectStructs[row](ctx, db, runSourcesSQL)
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Source
	}
	return names, db.failed("list the sources of runs", err)
}

// RunningRun is a run that has not ended, as far as the history knows.
type RunningRun struct {
	RunID         uuid.UUID `json:"run_id" ch:"run_id"`
	StartedAt     time.Time `json:"started_at" ch:"started_at"`
	Attempt       uint32    `json:"attempt" ch:"attempt"`
	Source        string    `json:"source" ch:"source"`
	PlannedChunks int64     `json:"planned_chunks" ch:"planned_chunks"`
}

// RunningRuns lists the runs that have not ended, the oldest first, at most 200.
func (db Reader) RunningRuns(ctx context.Context) ([]RunningRun, error) {
	rows, err := selectStructs[RunningRun](ctx, db, runningRunsSQL)
	return rows, db.failed("list running runs", err)
}

// RunEvent is something that became of a run: an attempt that started or ended, a rollback, a restore, a purge.
type RunEvent struct {
	At      time.Time `json:"at" ch:"at"`
	Event   string    `json:"event" ch:"event"`
	Attempt uint32    `json:"attempt,omitempty" ch:"attempt"` // 0 where it is not about an attempt
	By      string    `json:"by" ch:"by"`
	Reason  string    `json:"reason,omitempty" ch:"reason"`
}

// RunEvents lists what became of a run, in time, at most 200.
func (db Reader) RunEvents(ctx context.Context, runID uuid.UUID) ([]RunEvent, error) {
	rows, err := selectStructs[RunEvent](ctx, db, runEventsSQL, named("run_id", runID))
	return rows, db.failed(fmt.Sprintf("read the events of run %s", runID), err)
}

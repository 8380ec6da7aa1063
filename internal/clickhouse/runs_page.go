package clickhouse

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
func (db *DB) RunsPage(ctx context.Context, s RunSearch) ([]RunListItem, error) {
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
	return rows, db.storeError("list runs", err)
}

// farAhead is the last moment that the column holds whole, in milliseconds.
var farAhead = time.Unix(math.MaxUint32, 0).UnixMilli()

// RunSources lists the sources that runs have named.
func (db *DB) RunSources(ctx context.Context) ([]string, error) {
	type row struct {
		Source string `ch:"source"`
	}
	rows, err := selectStructs[row](ctx, db, runSourcesSQL)
	names := make([]string, len(rows))
	for i, r := range rows {
		names[i] = r.Source
	}
	return names, db.storeError("list the sources of runs", err)
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
func (db *DB) RunningRuns(ctx context.Context) ([]RunningRun, error) {
	rows, err := selectStructs[RunningRun](ctx, db, runningRunsSQL)
	return rows, db.storeError("list running runs", err)
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
func (db *DB) RunEvents(ctx context.Context, runID uuid.UUID) ([]RunEvent, error) {
	rows, err := selectStructs[RunEvent](ctx, db, runEventsSQL, named("run_id", runID))
	return rows, db.storeError(fmt.Sprintf("read the events of run %s", runID), err)
}

// ChunkSummary is how many chunks ended so, and how long they took.
type ChunkSummary struct {
	Status   string `json:"status" ch:"status"` // planned, success, failed or cancelled
	Chunks   uint64 `json:"chunks" ch:"chunks"`
	Repeated uint64 `json:"repeated" ch:"repeated"` // taken up more than once in their attempt
	// Milliseconds; nil while planned.
	MedianMS  *float64   `json:"median_ms" ch:"median_ms"`
	P95MS     *float64   `json:"p95_ms" ch:"p95_ms"`
	LongestMS *int64     `json:"longest_ms" ch:"longest_ms"`
	LastEnd   *time.Time `json:"last_end" ch:"last_end"`
}

// ChunkSummaries sums the run's chunks up by status.
func (db *DB) ChunkSummaries(ctx context.Context, runID uuid.UUID) ([]ChunkSummary, error) {
	rows, err := selectStructs[ChunkSummary](ctx, db, chunkSummarySQL, named("run_id", runID))
	return rows, db.storeError(fmt.Sprintf("sum up the chunks of run %s", runID), err)
}

// The orders of a page of chunks.
const (
	OrderByToken     = "token"
	OrderBySlowest   = "slowest"
	OrderByTries     = "executions"
	OrderByMostFound = "candles"
)

// ChunkPage says which chunks of a run are wanted; empty fields are no condition.
type ChunkPage struct {
	Status string // planned, success, failed or cancelled
	Token  string // an address
	Order  string // one of the orders; empty = by token
	Limit  int
	Offset int
}

// ChunksPage lists chunks of the run, each with its latest attempt.
func (db *DB) ChunksPage(ctx context.Context, runID uuid.UUID, p ChunkPage) ([]TaskDetails, error) {
	rows, err := selectStructs[taskRow](ctx, db, chunksPageSQL, named("run_id", runID), named("status", p.Status),
		named("token", p.Token), named("order", p.Order), named("limit", p.Limit), named("offset", p.Offset))
	if err != nil {
		return nil, db.storeError(fmt.Sprintf("read the chunks of run %s", runID), err)
	}
	return tasksOf(rows), nil
}

// LastOutcome is when a chunk of the run ended last; the zero time when none has.
func (db *DB) LastOutcome(ctx context.Context, runID uuid.UUID) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, queryTimeout)
	defer cancel()
	var last *time.Time
	err := db.conn.QueryRow(ctx, lastOutcomeSQL, named("run_id", runID)).Scan(&last)
	return orZero(last), db.storeError(fmt.Sprintf("look up the last outcome of run %s", runID), err)
}

// RecentWork is what a worker has done lately for a source.
type RecentWork struct {
	Worker   string     `json:"worker" ch:"worker"`
	Source   string     `json:"source" ch:"source"`
	Chunks   uint64     `json:"chunks" ch:"chunks"`
	APICalls int64      `json:"api_calls" ch:"api_calls"`
	Candles  int64      `json:"candles" ch:"candles"`
	LastEnd  *time.Time `json:"last_end" ch:"last_end"`
}

// RecentWork sums up the chunks that ended within the last so many seconds, by the server's clock.
func (db *DB) RecentWork(ctx context.Context, within time.Duration) ([]RecentWork, error) {
	rows, err := selectStructs[RecentWork](ctx, db, recentWorkSQL, named("seconds", uint32(within.Seconds())))
	return rows, db.storeError("sum up recent work", err)
}

// The results of an operator's action.
const (
	ActionStarted = "started"
	ActionDone    = "done"
	ActionRefused = "refused"
	ActionFailed  = "failed"
)

// OperatorAction is something that a person did through the dashboard.
type OperatorAction struct {
	ID     uuid.UUID `json:"action_id" ch:"action_id"`
	Action string    `json:"action" ch:"action"`
	// RunID is the zero id where the action is not about a run.
	RunID      uuid.UUID `json:"run_id" ch:"run_id"`
	By         string    `json:"requested_by" ch:"requested_by"`
	Address    string    `json:"address" ch:"address"`
	Reason     string    `json:"reason" ch:"reason"`
	Result     string    `json:"result" ch:"result"`
	Detail     string    `json:"detail" ch:"detail"`
	RecordedAt time.Time `json:"recorded_at" ch:"recorded_at"` // the server's; ignored when written
}

type operatorActionRow struct {
	ID      uuid.UUID `ch:"action_id"`
	Phase   string    `ch:"phase"`
	Action  string    `ch:"action"`
	RunID   uuid.UUID `ch:"run_id"`
	By      string    `ch:"requested_by"`
	Address string    `ch:"address"`
	Reason  string    `ch:"reason"`
	Result  string    `ch:"result"`
	Detail  string    `ch:"detail"`
}

// WriteAction writes that an action was asked for (ActionStarted) or how it ended.
func (db *DB) WriteAction(ctx context.Context, a OperatorAction) error {
	row := operatorActionRow{
		ID: a.ID, Phase: "ended", Action: a.Action, RunID: a.RunID, By: a.By, Address: a.Address, Reason: a.Reason, Result: a.Result, Detail: a.Detail,
	}
	if a.Result == ActionStarted {
		row.Phase = "asked"
	}
	return db.storeError("write an operator's action", insertStructs(ctx, db, insertOperatorActionSQL, []operatorActionRow{row}))
}

// OperatorActions lists the latest actions; the zero run id wants those of all runs.
func (db *DB) OperatorActions(ctx context.Context, runID uuid.UUID, limit int) ([]OperatorAction, error) {
	rows, err := selectStructs[OperatorAction](ctx, db, operatorActionsSQL, named("run_id", runID), named("limit", limit))
	return rows, db.storeError("list the operators' actions", err)
}

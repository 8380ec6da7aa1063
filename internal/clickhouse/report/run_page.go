package report

import (
	"context"
	"fmt"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

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
func (db Reader) ChunkSummaries(ctx context.Context, runID uuid.UUID) ([]ChunkSummary, error) {
	rows, err := selectStructs[ChunkSummary](ctx, db, chunkSummarySQL, named("run_id", runID))
	return rows, db.failed(fmt.Sprintf("sum up the chunks of run %s", runID), err)
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
func (db Reader) ChunksPage(ctx context.Context, runID uuid.UUID, p ChunkPage) ([]TaskDetails, error) {
	rows, err := selectStructs[backfill.TaskRow](ctx, db, chunksPageSQL, named("run_id", runID), named("status", p.Status),
		named("token", p.Token), named("order", p.Order), named("limit", p.Limit), named("offset", p.Offset))
	if err != nil {
		return nil, db.failed(fmt.Sprintf("read the chunks of run %s", runID), err)
	}
	return tasksOf(rows), nil
}

// LastOutcome is when a chunk of the run ended last; the zero time when none has.
func (db Reader) LastOutcome(ctx context.Context, runID uuid.UUID) (time.Time, error) {
	var last *time.Time
	err := db.rows(ctx, queryTimeout, lastOutcomeSQL, []any{named("run_id", runID)}, func(rows chdriver.Rows) error { return rows.Scan(&last) })
	return orZero(last), db.failed(fmt.Sprintf("look up the last outcome of run %s", runID), err)
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
func (db Reader) RecentWork(ctx context.Context, within time.Duration) ([]RecentWork, error) {
	rows, err := selectStructs[RecentWork](ctx, db, recentWorkSQL, named("seconds", uint32(within.Seconds())))
	return rows, db.failed("sum up recent work", err)
}

// OperatorActions lists the latest actions; the zero run id wants those of all runs.
func (db Reader) OperatorActions(ctx context.Context, runID uuid.UUID, limit int) ([]backfill.OperatorAction, error) {
	rows, err := selectStructs[backfill.OperatorAction](ctx, db, operatorActionsSQL, named("run_id", runID), named("limit", limit))
	return rows, db.failed("list the operators' actions", err)
}

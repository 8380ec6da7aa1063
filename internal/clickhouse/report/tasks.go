package report

import (
	"context"
	"fmt"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// TaskFilter narrows Tasks; its zero value wants everything.
type TaskFilter struct {
	// Statuses are planned, success, failed or cancelled.
	Statuses []string
}

// TaskDetails is a chunk of a run with what it ended as in its latest attempt, as people read it.
type TaskDetails struct {
	Attempt int               `json:"attempt"`
	Status  string            `json:"status"` // planned, success, failed or cancelled
	Chunk   backfill.Chunk    `json:"chunk"`
	Outcome *backfill.Outcome `json:"outcome,omitempty"` // nil while planned
}

// Tasks returns up to limit chunks of the run, each with its latest attempt, by token and time.
func (db Reader) Tasks(ctx context.Context, runID uuid.UUID, filter TaskFilter, limit int) ([]TaskDetails, error) {
	statuses := filter.Statuses
	if statuses == nil {
		statuses = []string{}
	}
	rows, err := selectStructs[backfill.TaskRow](ctx, db, tasksSQL,
		named("run_id", runID), named("statuses", statuses), named("limit", limit))
	if err != nil {
		return nil, db.failed(fmt.Sprintf("read the tasks of run %s", runID), err)
	}
	return tasksOf(rows), nil
}

func tasksOf(rows []backfill.TaskRow) []TaskDetails {
	tasks := make([]TaskDetails, len(rows))
	for i := range rows {
		tasks[i] = TaskDetails{Attempt: int(rows[i].Attempt), Status: rows[i].Status, Chunk: rows[i].Chunk(), Outcome: rows[i].Outcome()}
	}
	return tasks
}

// FailedGroup is the failed chunks of a run that share an error text.
type FailedGroup struct {
	Error      string         `json:"error"`
	ErrorClass backfill.Class `json:"error_class"`
	Chunks     int            `json:"chunks"`
	Tokens     int            `json:"tokens"`
	// Samples are up to five of the chunks.
	Samples []FailedSample `json:"samples"`
}

// FailedSample names one failed chunk.
type FailedSample struct {
	ChunkID backfill.ChunkID `json:"chunk_id"`
	Token   candle.Token     `json:"token"`
	Range   candle.Range     `json:"range"`
}

// FailedChunks groups the chunks of the run whose latest attempt failed by their error text, largest group first, at
// most 100 groups.
func (db Reader) FailedChunks(ctx context.Context, runID uuid.UUID) ([]FailedGroup, error) {
	groups := []FailedGroup{}
	err := db.rows(ctx, queryTimeout, failedChunksSQL, []any{named("run_id", runID)}, func(rows chdriver.Rows) error {
		group, err := scanFailedGroup(rows)
		groups = append(groups, group)
		return err
	})
	return groups, db.failed(fmt.Sprintf("read the failed chunks of run %s", runID), err)
}

func scanFailedGroup(rows chdriver.Rows) (FailedGroup, error) {
	var group FailedGroup
	var class string
	var chunks, tokens uint64
	var samples [][]any // chain, address, from, to, chunk id
	if err := rows.Scan(&group.Error, &class, &chunks, &tokens, &samples); err != nil {
		return group, err
	}
	group.ErrorClass = backfill.Class(class)
	group.Chunks, group.Tokens = int(chunks), int(tokens)
	for _, s := range samples {
		group.Samples = append(group.Samples, FailedSample{
			ChunkID: backfill.ChunkID(s[4].(string)),
			Token:   candle.Token{Chain: candle.Chain(s[0].(string)), Address: s[1].(string)},
			Range:   candle.Range{From: s[2].(time.Time).Unix(), To: s[3].(time.Time).Unix()},
		})
	}
	return group, nil
}

package report

import (
	"context"
	"fmt"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// TokenChunksQuery asks what a token was asked for.
type TokenChunksQuery struct {
	Token    candle.Token
	Interval candle.Interval
	// Range is what the chunks must touch.
	Range candle.Range
}

// TokenChunk is a chunk of some run.
type TokenChunk struct {
	RunID        uuid.UUID    `json:"run_id"`
	Attempt      uint32       `json:"attempt"`
	Range        candle.Range `json:"range"`
	Status       string       `json:"status"` // planned, success, failed or cancelled
	Source       string       `json:"source"`
	Fetched      int64        `json:"candles_fetched"`
	Inserted     int64        `json:"candles_inserted"`
	Rejected     int64        `json:"candles_rejected"`
	Deduplicated int64        `json:"candles_deduplicated"`
	Shadowed     *int64       `json:"candles_shadowed"` // nil = not recorded, as with Skipped
	Skipped      *int64       `json:"candles_skipped"`
	Error        string       `json:"error,omitempty"`
	EndedAt      *time.Time   `json:"ended_at"` // nil while planned
	// RolledBack: the run is; what it brought is not served.
	RolledBack bool `json:"rolled_back"`
}

// TokenChunks returns up to limit chunks of the token, of all runs, those that ended last first.
func (db Reader) TokenChunks(ctx context.Context, q TokenChunksQuery, limit int) ([]TokenChunk, error) {
	var chunks []TokenChunk
	params := []any{
		named("chain", string(q.Token.Chain)), named("token", q.Token.Address), named("interval", uint32(q.Interval)),
		named("from", storableTime(q.Range.From).Unix()), named("to", storableTime(q.Range.To).Unix()), named("limit", limit),
	}
	err := db.rows(ctx, queryTimeout, tokenChunksSQL, params, func(rows chdriver.Rows) error {
		var c TokenChunk
		var from, to time.Time
		var hidden uint8
		err := rows.Scan(&c.RunID, &c.Attempt, &from, &to, &c.Status, &c.Source, &c.Fetched, &c.Inserted, &c.Rejected, &c.Deduplicated,
			&c.Shadowed, &c.Skipped, &c.Error, &c.EndedAt, &hidden)
		c.Range, c.RolledBack = candle.Range{From: from.Unix(), To: to.Unix()}, hidden == 1
		chunks = append(chunks, c)
		return err
	})
	return chunks, db.failed(fmt.Sprintf("read what was asked of %s", q.Token), err)
}

package ledger

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// plannedChunk is a chunk in the plan, whose key is its id. The names are short because a run has up to a million.
type plannedChunk struct {
	Chain    candle.Chain    `json:"c"`
	Address  string          `json:"a"`
	Interval candle.Interval `json:"i"`
	From     int64           `json:"f"`
	To       int64           `json:"t"`
}

func encodeChunk(c backfill.Chunk) ([]byte, error) {
	encoded, err := json.Marshal(plannedChunk{
		Chain: c.Token.Chain, Address: c.Token.Address, Interval: c.Interval, From: c.Range.From, To: c.Range.To,
	})
	if err != nil {
		return nil, fmt.Errorf("encode chunk %s: %w", c.ID, err)
	}
	return encoded, nil
}

func decodeChunk(id, encoded string) (backfill.Chunk, error) {
	var p plannedChunk
	if err := json.Unmarshal([]byte(encoded), &p); err != nil {
		return backfill.Chunk{}, fmt.Errorf("decode chunk %s: %w", id, err)
	}
	return backfill.Chunk{
		ID:       backfill.ChunkID(id),
		Token:    candle.Token{Chain: p.Chain, Address: p.Address},
		Interval: p.Interval,
		Range:    candle.Range{From: p.From, To: p.To},
	}, nil
}

// PlannedChunks returns how many chunks of this attempt the ledger's plan holds.
func (l *Ledger) PlannedChunks(ctx context.Context, runID uuid.UUID, attempt int) (int, error) {
	k := keysOf(runID)
	pipe := l.client.TxPipeline() // one step: a chunk that moves between the two must be counted once
	pending := pipe.SCard(ctx, k.pending(attempt))
	done := pipe.HLen(ctx, k.outcome(attempt))
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, redisError("count the plan", err)
	}
	return int(pending.Val() + done.Val()), nil
}

// Plan calls yield for each batch of chunks of this attempt's plan, each chunk once. It ends with the first error of
// yield.
func (l *Ledger) Plan(ctx context.Context, runID uuid.UUID, attempt int, yield func([]backfill.Chunk) error) error {
	k := keysOf(runID)
	return l.scanHash(ctx, k.plan(), func(page []field) error {
		chunks, err := l.ofAttempt(ctx, k, attempt, page)
		if err != nil || len(chunks) == 0 {
			return err
		}
		return yield(chunks)
	})
}

// ofAttempt decodes those chunks of a page of the plan that belong to the attempt.
func (l *Ledger) ofAttempt(ctx context.Context, k runKeys, attempt int, page []field) ([]backfill.Chunk, error) {
	if len(page) == 0 {
		return nil, nil
	}
	ids := make([]any, len(page))
	for i, f := range page {
		ids[i] = f.name
	}
	r, err := l.run(ctx, ofAttemptScript, []string{k.pending(attempt), k.outcome(attempt)}, ids...)
	if err != nil {
		return nil, err
	}
	chunks := make([]backfill.Chunk, 0, len(page))
	for i, f := range page {
		if r.number(1+i) == 0 {
			continue
		}
		chunk, err := decodeChunk(f.name, f.value)
		if err != nil {
			return nil, err
		}
		chunks = append(chunks, chunk)
	}
	return chunks, nil
}

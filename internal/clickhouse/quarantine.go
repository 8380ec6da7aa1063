package clickhouse

import (
	"context"
	"math"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
)

// rejectedRow is a row of ohlcv_rejected_candles.
type rejectedRow struct {
	RunID           uuid.UUID `ch:"ingestion_run_id"`
	RunStartedAt    time.Time `ch:"run_started_at"`
	Rule            string    `ch:"rule"`
	Chain           string    `ch:"chain"`
	TokenAddress    string    `ch:"token_address"`
	IntervalSeconds uint32    `ch:"interval_seconds"`
	Timestamp       time.Time `ch:"timestamp"`
	Open            float64   `ch:"open"`
	High            float64   `ch:"high"`
	Low             float64   `ch:"low"`
	Close           float64   `ch:"close"`
	Volume          float64   `ch:"volume"`
	VolumeUSD       float64   `ch:"volume_usd"`
	Source          string    `ch:"source"`
	ChunkID         string    `ch:"chunk_id"`
	Detail          string    `ch:"detail"`
}

func (db *DB) insertRejected(ctx context.Context, writes []backfill.ChunkWrite) error {
	var rows []rejectedRow
	for _, w := range writes {
		for _, rejection := range w.Rejected {
			rows = append(rows, newRejectedRow(w, rejection))
		}
	}
	return insertStructs(ctx, db, insertRejectedSQL, rows)
}

func newRejectedRow(w backfill.ChunkWrite, r backfill.Rejection) rejectedRow {
	return rejectedRow{
		RunID:           w.Run.ID(),
		RunStartedAt:    w.Run.Manifest.StartedAt,
		Rule:            string(r.Rule),
		Chain:           string(w.Chunk.Token.Chain),
		TokenAddress:    w.Chunk.Token.Address,
		IntervalSeconds: uint32(w.Chunk.Interval),
		Timestamp:       storableTime(r.Candle.OpenTime),
		Open:            r.Candle.Open,
		High:            r.Candle.High,
		Low:             r.Candle.Low,
		Close:           r.Candle.Close,
		Volume:          r.Candle.Volume,
		VolumeUSD:       r.Candle.VolumeUSD,
		Source:          sourceOf(w),
		ChunkID:         string(w.Chunk.ID),
		Detail:          r.Detail,
	}
}

// storable narrows Unix seconds to what a DateTime column holds, 1970 to 2106.
func storable(unix int64) int64 { return min(max(unix, 0), math.MaxUint32) }

func storableTime(unix int64) time.Time { return time.Unix(storable(unix), 0).UTC() }

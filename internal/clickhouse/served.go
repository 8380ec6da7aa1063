package clickhouse

import (
	"context"
	"fmt"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/candle"
)

const candlesPerBatch = 8192

// Candles calls yield with the served candles of the token in the range, oldest first, in batches; it holds one batch in
// memory. The slice belongs to yield; an error of yield ends the reading and is returned as it is.
func (db *DB) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range, yield func([]candle.Candle) error) error {
	var yieldErr error
	batches := batcher[candle.Candle]{size: candlesPerBatch, yield: yield}
	params := []any{
		named("chain", string(token.Chain)),
		named("token_address", token.Address),
		named("interval", uint32(interval)),
		named("from", storableTime(r.From).Unix()),
		named("to", storableTime(r.To).Unix()),
	}
	err := db.rows(ctx, streamTimeout, candlesSQL, params, func(rows chdriver.Rows) error {
		var c candle.Candle
		var opened uint32
		if err := rows.Scan(&opened, &c.Open, &c.High, &c.Low, &c.Close, &c.Volume, &c.VolumeUSD); err != nil {
			return err
		}
		c.OpenTime = int64(opened)
		yieldErr = batches.add(c)
		return yieldErr
	})
	if yieldErr != nil {
		return yieldErr
	}
	if err != nil {
		return db.storeError(fmt.Sprintf("read candles of %s", token), err)
	}
	return batches.flush()
}

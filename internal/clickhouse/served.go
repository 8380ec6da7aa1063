package clickhouse

import (
	"context"
	"fmt"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/candle"
)

const candlesPerBatch = 8192

// Candles calls yield with the served candles of the token in the range, oldest first, in batches; it holds one batch in
// memory. The slice belongs to yield; an error of yield ends the reading and is returned as it is.
func (db *DB) Candles(ctx context.Context, token candle.Token, interval candle.Interval, r candle.Range, yield func([]candle.Candle) error) error {
	return db.readCandles(ctx, candlesSQL, token, interval, r, yield)
}

// CandlesAsOf is Candles for an earlier moment: what was served then of the runs that had ended. It fails
// when a sweep has removed versions that were served at that moment.
func (db *DB) CandlesAsOf(ctx context.Context, asOf time.Time, token candle.Token, interval candle.Interval, r candle.Range, yield func([]candle.Candle) error) error {
	return db.readCandles(ctx, candlesAsOfSQL, token, interval, r, yield, named("as_of", formatMoment(asOf)))
}

func (db *DB) readCandles(ctx context.Context, query string, token candle.Token, interval candle.Interval, r candle.Range, yield func([]candle.Candle) error, more ...any) error {
	var yieldErr error
	batches := batcher[candle.Candle]{size: candlesPerBatch, yield: yield}
	params := []any{
		named("chain", string(token.Chain)),
		named("token_address", token.Address),
		named("interval", uint32(interval)),
		named("from", storableTime(r.From).Unix()),
		named("to", storableTime(r.To).Unix()),
	}
	params = append(params, more...)
	err := db.rows(ctx, streamTimeout, query, params, func(rows chdriver.Rows) error {
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

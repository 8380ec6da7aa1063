package report

import (
	"context"
	"time"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// Selection says which served candles are wanted.
type Selection struct {
	// Tokens limits the selection; none means all.
	Tokens   []candle.Token
	Interval candle.Interval
	Range    candle.Range
	// AsOf is the moment at which they were served; zero = now.
	AsOf time.Time
}

func (s Selection) params() []any {
	chains, addresses := make([]string, len(s.Tokens)), make([]string, len(s.Tokens))
	for i, t := range s.Tokens {
		chains[i], addresses[i] = string(t.Chain), t.Address
	}
	params := []any{
		named("interval", uint32(s.Interval)), named("chains", chains), named("addresses", addresses),
		named("from", storableTime(s.Range.From).Unix()), named("to", storableTime(s.Range.To).Unix()),
	}
	if !s.AsOf.IsZero() {
		params = append(params, named("as_of", formatMoment(s.AsOf)))
	}
	return params
}

// ServedCandle is a served candle with where it comes from.
type ServedCandle struct {
	Token    candle.Token
	Interval candle.Interval
	candle.Candle
	Quality uint8
	Source  string
	RunID   uuid.UUID
}

// Served calls yield for each candle of the selection, by token and time. It holds one row. An error of yield ends the
// reading and is returned as it is.
func (db Reader) Served(ctx context.Context, s Selection, yield func(*ServedCandle) error) error {
	query, params := exportSQL, s.params()
	if !s.AsOf.IsZero() {
		query = exportAsOfSQL
	}
	var yieldErr error
	var c ServedCandle
	err := db.rows(ctx, streamTimeout, query, params, func(rows chdriver.Rows) error {
		var chain string
		var interval uint32
		var opened time.Time
		err := rows.Scan(&chain, &c.Token.Address, &interval, &opened, &c.Open, &c.High, &c.Low, &c.Close, &c.Volume, &c.VolumeUSD,
			&c.Quality, &c.Source, &c.RunID)
		if err != nil {
			return err
		}
		c.Token.Chain, c.Interval, c.OpenTime = candle.Chain(chain), candle.Interval(interval), opened.Unix()
		yieldErr = yield(&c)
		return yieldErr
	})
	if yieldErr != nil {
		return yieldErr
	}
	return db.failed("read served candles", err)
}

// formatMoment writes a moment as the view's parameter wants it.
func formatMoment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000000") }

package report

import (
	"context"
	"fmt"
	"maps"
	"slices"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/candle"
)

// TokenScope is what is known of a token at an interval.
type TokenScope struct {
	Interval candle.Interval `json:"interval"`
	// Asked reaches from the first to the last moment that any run asked for; empty for none.
	Asked candle.Range `json:"asked"`
	// Stored reaches from the first to the end of the last candle, also of runs that are rolled back; empty for none.
	Stored candle.Range `json:"stored"`
}

// TokenScopes lists the intervals at which the token was asked for, the shortest first. It is empty for a token that nobody
// asked for.
func (db Reader) TokenScopes(ctx context.Context, token candle.Token) ([]TokenScope, error) {
	known := make(map[candle.Interval]*TokenScope)
	scope := func(interval candle.Interval) *TokenScope {
		if known[interval] == nil {
			known[interval] = &TokenScope{Interval: interval}
		}
		return known[interval]
	}
	err := db.tokenSpans(ctx, tokenScopesSQL, token, func(interval candle.Interval, first, last uint32) {
		scope(interval).Stored = stretch(first, last, interval)
	})
	if err != nil {
		return nil, err
	}
	err = db.tokenSpans(ctx, tokenRequestedScopesSQL, token, func(interval candle.Interval, first, last uint32) {
		scope(interval).Asked = candle.Range{From: int64(first), To: int64(last)}
	})
	var scopes []TokenScope
	for _, interval := range slices.Sorted(maps.Keys(known)) {
		scopes = append(scopes, *known[interval])
	}
	return scopes, err
}

func (db Reader) tokenSpans(ctx context.Context, query string, token candle.Token, yield func(interval candle.Interval, first, last uint32)) error {
	var interval, first, last uint32
	params := []any{named("chain", string(token.Chain)), named("token", token.Address)}
	err := db.rows(ctx, queryTimeout, query, params, func(rows chdriver.Rows) error {
		if err := rows.Scan(&interval, &first, &last); err != nil {
			return err
		}
		yield(candle.Interval(interval), first, last)
		return nil
	})
	return db.failed(fmt.Sprintf("read what is there of %s", token), err)
}

// ChartQuery asks for the candles of a token in buckets.
type ChartQuery struct {
	Token    candle.Token
	Interval candle.Interval
	Range    candle.Range
	// Bucket is the length of a bucket in seconds, a multiple of the interval.
	Bucket int64
}

func (q ChartQuery) params() []any {
	return []any{
		named("chain", string(q.Token.Chain)), named("token", q.Token.Address), named("interval", uint32(q.Interval)),
		named("from", storableTime(q.Range.From).Unix()), named("to", storableTime(q.Range.To).Unix()), named("bucket", q.Bucket),
	}
}

// ChartCandle is a bucket that holds a candle.
type ChartCandle struct {
	candle.Candle
	// Candles is how many served candles the bucket holds, Revised of how many of its candles there are several versions.
	Candles, Revised int64
	// Quality is the lowest score of its served candles.
	Quality uint8
}

// Chart returns the served candles of the token in buckets of the UTC grid, oldest first. Buckets without a candle are left out.
func (db Reader) Chart(ctx context.Context, q ChartQuery) ([]ChartCandle, error) {
	var candles []ChartCandle
	err := db.rows(ctx, queryTimeout, chartSQL, q.params(), func(rows chdriver.Rows) error {
		var c ChartCandle
		var opened uint32
		err := rows.Scan(&opened, &c.Open, &c.High, &c.Low, &c.Close, &c.Volume, &c.VolumeUSD, &c.Candles, &c.Quality)
		c.OpenTime = int64(opened)
		candles = append(candles, c)
		return err
	})
	if err != nil {
		return nil, db.failed(fmt.Sprintf("read the chart of %s", q.Token), err)
	}
	revised := make(map[int64]int64)
	err = db.rows(ctx, queryTimeout, chartVersionsSQL, q.params(), func(rows chdriver.Rows) error {
		var opened uint32
		var count int64
		err := rows.Scan(&opened, &count)
		revised[int64(opened)] = count
		return err
	})
	for i := range candles {
		candles[i].Revised = revised[candles[i].OpenTime]
	}
	return candles, db.failed(fmt.Sprintf("count the versions of %s", q.Token), err)
}

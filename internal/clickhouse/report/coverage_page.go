package report

import (
	"context"

	driver "github.com/ClickHouse/clickhouse-go/v2"
	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"quantbot/internal/candle"
)

// CoverageScope is what runs asked for at an interval.
type CoverageScope struct {
	Interval candle.Interval `json:"interval"`
	// Sources are the services that runs asked, also as fallbacks, in order.
	Sources []string `json:"sources"`
	// Range reaches over the ranges of all runs.
	Range candle.Range `json:"range"`
}

// CoverageScopes lists the intervals that were asked for, the shortest first.
func (db Reader) CoverageScopes(ctx context.Context) ([]CoverageScope, error) {
	var scopes []CoverageScope
	err := db.rows(ctx, queryTimeout, coverageScopesSQL, nil, func(rows chdriver.Rows) error {
		var scope CoverageScope
		var interval, first, last uint32
		if err := rows.Scan(&interval, &scope.Sources, &first, &last); err != nil {
			return err
		}
		scope.Interval, scope.Range = candle.Interval(interval), candle.Range{From: int64(first), To: int64(last)}
		scopes = append(scopes, scope)
		return nil
	})
	return scopes, db.failed("read what was asked for", err)
}

// RequestedTokensPage returns up to limit of the tokens that were asked for at the interval within the range, in order, after
// the first offset ones; and how many there are. A text narrows them to addresses that
// contain it, in any case.
func (db Reader) RequestedTokensPage(ctx context.Context, interval candle.Interval, r candle.Range, text string, limit, offset int) (page []candle.Token, total int, err error) {
	var tokens []candle.Token
	params := []any{
		named("interval", uint32(interval)), named("from", storableTime(r.From).Unix()), named("to", storableTime(r.To).Unix()),
		named("text", text), named("limit", limit), named("offset", offset),
	}
	ctx = driver.Context(ctx, driver.WithProfileInfo(func(p *driver.ProfileInfo) {
		if p.AppliedLimit {
			total = int(p.RowsBeforeLimit)
		}
	}))
	err = db.rows(ctx, queryTimeout, requestedTokensPageSQL, params, func(rows chdriver.Rows) error {
		var chain, address string
		err := rows.Scan(&chain, &address)
		tokens = append(tokens, candle.Token{Chain: candle.Chain(chain), Address: address})
		return err
	})
	return tokens, total, db.failed("list the tokens that were asked for", err)
}

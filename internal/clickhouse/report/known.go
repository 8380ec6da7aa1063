package report

import (
	"cmp"
	"context"

	chdriver "github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
	"quantbot/internal/coverage"
)

// Known counts the candles that could be in the selection by what is known of them, whoever was asked: of the tokens that it names
// or, without any, of those that were asked for in its range or have candles there. It is judged as of the selection's moment.
func (db Reader) Known(ctx context.Context, s Selection, m coverage.Moment) (map[coverage.Verdict]int64, error) {
	tokens := s.Tokens
	if len(tokens) == 0 {
		asked, err := db.RequestedTokens(ctx, s.Interval, uuid.Nil)
		if err != nil {
			return nil, err
		}
		tokens = asked
	}
	if !s.AsOf.IsZero() {
		m.Now = s.AsOf
	}
	known := make(map[coverage.Verdict]int64)
	q := backfill.CoverageQuery{Any: true, Interval: s.Interval, Range: s.Range, Tokens: tokens, AsOf: s.AsOf}
	err := db.TokenHistories(ctx, q, func(h coverage.TokenHistory) error {
		if len(s.Tokens) == 0 && len(h.Fetches) == 0 && len(h.Have) == 0 {
			return nil
		}
		for _, judged := range h.Judge(s.Range, m) {
			known[judged.Verdict] += judged.Candles
		}
		return nil
	})
	return known, err
}

// StoredIntervals are those at which the selection's tokens have candles in its range, the shortest first.
func (db Reader) StoredIntervals(ctx context.Context, s Selection) (intervals []candle.Interval, err error) {
	then := !s.AsOf.IsZero()
	s.AsOf = cmp.Or(s.AsOf, endOfTime)
	err = db.rows(ctx, streamTimeout, storedIntervalsSQL, append(s.params(), named("as_of_set", then)), func(rows chdriver.Rows) error {
		var seconds uint32
		err := rows.Scan(&seconds)
		intervals = append(intervals, candle.Interval(seconds))
		return err
	})
	return intervals, db.failed("read at which intervals there are candles", err)
}

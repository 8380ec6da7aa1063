package report

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"

	"quantbot/internal/candle"
)

// TokenDiff is how what two runs stored for a token differs. Each run counts with its best version of a candle.
type TokenDiff struct {
	Token     candle.Token `json:"token"`
	Chain     string       `json:"-" ch:"chain"` // Token's, as the server sends it
	Address   string       `json:"-" ch:"token_address"`
	OnlyA     int64        `json:"only_a" ch:"only_a"`
	OnlyB     int64        `json:"only_b" ch:"only_b"`
	Same      int64        `json:"same" ch:"same"`
	Different int64        `json:"different" ch:"different"`
}

// CandleDiff is a candle that two runs have with different values.
type CandleDiff struct {
	Token     candle.Token `json:"token"`
	Chain     string       `json:"-" ch:"chain"` // Token's, as the server sends it
	Address   string       `json:"-" ch:"token_address"`
	Timestamp time.Time    `json:"timestamp" ch:"timestamp"`
	CloseA    float64      `json:"close_a" ch:"close_a"`
	CloseB    float64      `json:"close_b" ch:"close_b"`
	VolumeA   float64      `json:"volume_a" ch:"volume_a"`
	VolumeB   float64      `json:"volume_b" ch:"volume_b"`
	// CloseChange is the difference of the closes as a share of the first.
	CloseChange float64 `json:"close_change" ch:"close_change"`
}

// DiffRuns compares what two runs stored: up to limit tokens, those with most differences first, and the limit largest
// differences.
func (db Reader) DiffRuns(ctx context.Context, a, b uuid.UUID, limit int) (tokens []TokenDiff, candles []CandleDiff, err error) {
	params := []any{named("a", a), named("b", b), named("limit", limit)}
	if tokens, err = selectLong[TokenDiff](ctx, db, diffTokensSQL, params...); err != nil {
		return nil, nil, db.failed(fmt.Sprintf("compare runs %s and %s", a, b), err)
	}
	candles, err = selectLong[CandleDiff](ctx, db, diffCandlesSQL, params...)
	for i, t := range tokens {
		tokens[i].Token = candle.Token{Chain: candle.Chain(t.Chain), Address: t.Address}
	}
	for i, c := range candles {
		candles[i].Token = candle.Token{Chain: candle.Chain(c.Chain), Address: c.Address}
	}
	return tokens, candles, db.failed(fmt.Sprintf("compare runs %s and %s", a, b), err)
}

// DuplicateMonth is how many versions lie beside the served ones of a month (YYYYMM) and interval.
type DuplicateMonth struct {
	Interval string `json:"interval"`
	Month    uint32 `json:"month"`
	Candles  int64  `json:"candles"`
	Versions int64  `json:"versions"`
}

// Duplicates counts the visible versions that are not served. They wait for a sweep, or for their betters to be settled.
func (db Reader) Duplicates(ctx context.Context) ([]DuplicateMonth, error) {
	type row struct {
		Interval uint32 `ch:"interval_seconds"`
		Month    uint32 `ch:"month"`
		Candles  int64  `ch:"candles"`
		Versions int64  `ch:"versions"`
	}
	rows, err := selectLong[row](ctx, db, duplicatesSQL)
	if err != nil {
		return nil, db.failed("count duplicates", err)
	}
	months := make([]DuplicateMonth, len(rows))
	for i, r := range rows {
		months[i] = DuplicateMonth{candle.Interval(r.Interval).String(), r.Month, r.Candles, r.Versions}
	}
	return months, nil
}

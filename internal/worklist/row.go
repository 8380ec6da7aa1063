package worklist

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

	"github.com/duckdb/duckdb-go/v2"

	"quantbot/internal/candle"
)

// callRow is a row as the database has it.
type callRow struct {
	mint, chain string
	at          any
}

// call returns the call, or why the row is skipped, or neither when the call lies outside the wanted time.
func (r callRow) call(o CallsOptions) (call *Call, reason string) {
	ms, ok := milliseconds(r.at)
	if !ok {
		return nil, "time of the call missing or no number"
	}
	if reason := implausible(ms); reason != "" {
		return nil, reason
	}
	if at := time.UnixMilli(ms).Unix(); !o.Range.Contains(at) {
		return nil, ""
	}
	if strings.TrimSpace(r.mint) == "" {
		return nil, "mint missing"
	}
	chain, err := r.parseChain(o.EVMChain)
	if err != nil {
		return nil, err.Error()
	}
	token, err := candle.NewToken(chain, r.mint)
	if err != nil {
		return nil, err.Error()
	}
	return &Call{Token: token, AtMS: ms}, ""
}

func (r callRow) parseChain(evm candle.Chain) (candle.Chain, error) {
	if strings.EqualFold(strings.TrimSpace(r.chain), "evm") {
		if evm == "" {
			return "", fmt.Errorf("chain \"evm\" does not say which chain: name it with --evm-chain")
		}
		return evm, nil
	}
	return candle.ParseChain(r.chain)
}

// No token was traded before Bitcoin's first block, of 3 January 2009, and no call comes from after this century.
const (
	earliestCall = 1_230_940_800_000 // Unix milliseconds
	latestCall   = 4_102_444_800_000
)

// implausible says what a number that cannot be the time of a call may be instead, or nothing. The numbers that stand for
// the plausible years in one unit stand in no other unit for any of them.
func implausible(ms int64) string {
	plausible := func(ms int64) bool { return earliestCall <= ms && ms < latestCall }
	if plausible(ms) {
		return ""
	}
	var unit string
	switch {
	case ms > 0 && ms < latestCall/1_000 && plausible(ms*1_000):
		unit = "seconds"
	case plausible(ms / 1_000):
		unit = "microseconds"
	case plausible(ms / 1_000_000):
		unit = "nanoseconds"
	default:
		return fmt.Sprintf("time of the call (%d) is not between 2009 and 2100 in milliseconds", ms)
	}
	return fmt.Sprintf("time of the call (%d) looks like %s, not milliseconds", ms, unit)
}

// text reads a cell of text.
func text(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case string:
		return v
	}
	return fmt.Sprint(cell)
}

// milliseconds reads a cell of any numeric type, or a timestamp. Parts of a millisecond are cut off.
func milliseconds(cell any) (int64, bool) {
	switch v := cell.(type) {
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case int16:
		return int64(v), true
	case int8:
		return int64(v), true
	case uint8:
		return int64(v), true
	case uint16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case float32:
		return milliseconds(float64(v))
	case float64:
		return int64(v), math.Abs(v) < 1<<63 // false of what is not a number
	case *big.Int:
		return v.Int64(), v.IsInt64()
	case duckdb.Decimal:
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(v.Scale)), nil)
		return milliseconds(scale.Quo(v.Value, scale))
	case time.Time:
		return v.UnixMilli(), true
	}
	return 0, false
}

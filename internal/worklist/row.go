package worklist

import (
	"fmt"
	"math"
	"math/big"
	"strings"
	"time"

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

// text reads a cell that should hold text.
func text(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case string:
		return v
	case []byte:
		return string(v)
	}
	return fmt.Sprint(cell)
}

// milliseconds reads a cell of any numeric type, or a timestamp.
func milliseconds(cell any) (int64, bool) {
	switch v := cell.(type) {
	case int64:
		return v, true
	case int32:
		return int64(v), true
	case int16:
		return int64(v), true
	case uint32:
		return int64(v), true
	case uint64:
		return int64(v), v <= math.MaxInt64
	case float64:
		return int64(v), !math.IsNaN(v) && math.Abs(v) < 1<<53
	case *big.Int:
		return v.Int64(), v.IsInt64()
	case time.Time:
		return v.UnixMilli(), true
	}
	return 0, false
}

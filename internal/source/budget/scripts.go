package budget

import (
	_ "embed" // the scripts
	"errors"
	"fmt"

	"github.com/redis/go-redis/v9"
)

// The scripts; what each takes and returns stands in its file.
var (
	//go:embed scripts/take.lua
	takeLua string
	//go:embed scripts/move.lua
	moveLua string
	//go:embed scripts/slow.lua
	slowLua string
	//go:embed scripts/park.lua
	parkLua string
	//go:embed scripts/unpark.lua
	unparkLua string
	//go:embed scripts/look.lua
	lookLua string

	takeScript   = redis.NewScript(takeLua)
	moveScript   = redis.NewScript(moveLua)
	slowScript   = redis.NewScript(slowLua)
	parkScript   = redis.NewScript(parkLua)
	unparkScript = redis.NewScript(unparkLua)
	lookScript   = redis.NewScript(lookLua)
)

var errAlone = errors.New("redis did not answer a moment ago")

// scan reads a script's answer.
func scan(values []any, into ...any) error {
	if len(values) < len(into) {
		return fmt.Errorf("script answered %d values instead of %d", len(values), len(into))
	}
	for i, target := range into {
		switch t := target.(type) {
		case *string:
			text, ok := values[i].(string)
			if !ok {
				return fmt.Errorf("script answered %T as value %d", values[i], i)
			}
			*t = text
		case *int64:
			number, ok := values[i].(int64)
			if !ok {
				return fmt.Errorf("script answered %T as value %d", values[i], i)
			}
			*t = number
		}
	}
	return nil
}

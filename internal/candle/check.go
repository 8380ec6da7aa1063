package candle

import (
	"fmt"
	"math"
)

// Rule names why a candle was rejected. Its values stand in quarantine rows and must stay stable.
type Rule string

// The rules. The first six are corruption and always rejected; ZeroVolume and ZeroPrice only by strict validation;
// FutureTimestamp in every mode.
const (
	RuleNone              Rule = ""
	RuleInvalidRange      Rule = "INVALID_RANGE"
	RuleOpenOutsideRange  Rule = "OPEN_OUTSIDE_RANGE"
	RuleCloseOutsideRange Rule = "CLOSE_OUTSIDE_RANGE"
	RuleNegativeValues    Rule = "NEGATIVE_VALUES"
	RuleNotFinite         Rule = "NOT_FINITE"
	RuleOffGrid           Rule = "OFF_GRID"
	RuleFutureTimestamp   Rule = "FUTURE_TIMESTAMP"
	RuleZeroVolume        Rule = "ZERO_VOLUME"
	RuleZeroPrice         Rule = "ZERO_PRICE"
)

// Validation is how strictly candles are validated.
type Validation string

// Lenient stores a candle without volume, with its low score; Strict rejects it.
const (
	Lenient Validation = "lenient"
	Strict  Validation = "strict"
)

// ParseValidation reads "lenient" or "strict".
func ParseValidation(s string) (Validation, error) {
	switch v := Validation(s); v {
	case Lenient, Strict:
		return v, nil
	}
	return "", fmt.Errorf("unknown validation %q (known: lenient, strict)", s)
}

// Check returns the first rule that the candle breaks, or RuleNone. now is in Unix seconds.
func Check(c Candle, interval Interval, mode Validation, now int64) Rule {
	if rule := corruption(c, interval); rule != RuleNone {
		return rule
	}
	if c.OpenTime > now {
		return RuleFutureTimestamp
	}
	if mode != Strict {
		return RuleNone
	}
	if ZeroVolume(c) {
		return RuleZeroVolume
	}
	if c.Open == 0 || c.High == 0 || c.Low == 0 || c.Close == 0 {
		return RuleZeroPrice
	}
	return RuleNone
}

// ZeroVolume reports whether the candle traded nothing, in either unit.
func ZeroVolume(c Candle) bool { return c.Volume == 0 && c.VolumeUSD == 0 }

func corruption(c Candle, interval Interval) Rule {
	for _, v := range [...]float64{c.Open, c.High, c.Low, c.Close, c.Volume, c.VolumeUSD} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return RuleNotFinite
		}
		if v < 0 {
			return RuleNegativeValues
		}
	}
	switch {
	case c.High < c.Low:
		return RuleInvalidRange
	case c.Open < c.Low || c.Open > c.High:
		return RuleOpenOutsideRange
	case c.Close < c.Low || c.Close > c.High:
		return RuleCloseOutsideRange
	case !interval.OnGrid(c.OpenTime):
		return RuleOffGrid
	}
	return RuleNone
}

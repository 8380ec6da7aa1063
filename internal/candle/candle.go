package candle

// Candle is one OHLCV candle. OpenTime is in Unix seconds; prices are in USD; Volume is in base units as the source gives
// it and VolumeUSD in USD (0 where the source gives none).
type Candle struct {
	OpenTime  int64
	Open      float64
	High      float64
	Low       float64
	Close     float64
	Volume    float64
	VolumeUSD float64
}

// SourceTier says how far the origin of a candle can be trusted; higher is better.
type SourceTier uint8

// The tiers, worst first.
const (
	TierUnknown SourceTier = iota
	TierBackfillRaw
	TierBackfillAPI
	TierRealtime
	TierValidated
	TierCanonical
)

// MaxTier is the best tier.
const MaxTier = TierCanonical

// MaxQuality is the highest score that Quality gives.
const MaxQuality = 100 + 10 + 5 + 5 + uint8(MaxTier)

// Quality scores a candle for the choice between its versions, 0 (worst) to MaxQuality: any volume 100, high ≥ low 10,
// open inside [low, high] 5, close inside 5, plus the source tier.
func Quality(c Candle, tier SourceTier) uint8 {
	score := uint8(min(tier, MaxTier))
	if c.Volume > 0 || c.VolumeUSD > 0 {
		score += 100
	}
	if c.High >= c.Low {
		score += 10
	}
	if c.Low <= c.Open && c.Open <= c.High {
		score += 5
	}
	if c.Low <= c.Close && c.Close <= c.High {
		score += 5
	}
	return score
}

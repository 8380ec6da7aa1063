package backfill

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"quantbot/internal/candle"
)

// ChunkID identifies a chunk within its run: a hash of token, interval and range, so it is stable over attempts, and
// planning the same work twice gives the same ids.
type ChunkID string

// chunkIDBytes keeps 96 bits of the hash: among a million chunks of a run a collision has a chance below 1e-17.
const chunkIDBytes = 12

// Chunk is the unit of work: one token, one range, one task. Its range is aligned to the interval.
type Chunk struct {
	ID       ChunkID         `json:"id"`
	Token    candle.Token    `json:"token"`
	Interval candle.Interval `json:"interval"`
	Range    candle.Range    `json:"range"`
}

// NewChunk derives the chunk's id.
func NewChunk(token candle.Token, interval candle.Interval, r candle.Range) Chunk {
	return Chunk{ID: chunkID(token, interval, r), Token: token, Interval: interval, Range: r}
}

func chunkID(token candle.Token, interval candle.Interval, r candle.Range) ChunkID {
	key := make([]byte, 0, 128)
	key = append(key, token.Chain...)
	key = append(key, 0)
	key = append(key, token.Address...)
	key = append(key, 0)
	key = binary.BigEndian.AppendUint32(key, uint32(interval))
	key = binary.BigEndian.AppendUint64(key, uint64(r.From))
	key = binary.BigEndian.AppendUint64(key, uint64(r.To))
	sum := sha256.Sum256(key)
	return ChunkID(hex.EncodeToString(sum[:chunkIDBytes]))
}

package clickhouse

import (
	"cmp"
	"sync"

	"github.com/google/uuid"

	"quantbot/internal/backfill"
	"quantbot/internal/candle"
)

// candleBlock is the columns of insert_candles.sql, built from the candles of one or several chunks.
type candleBlock struct {
	chain, source, version repeated

	token      slice[string]
	interval   slice[uint32]
	timestamp  slice[int64] // Unix seconds
	rank       slice[uint64]
	run        slice[uuid.UUID]
	open       slice[float64]
	high       slice[float64]
	low        slice[float64]
	closePrice slice[float64]
	volume     slice[float64]
	volumeUSD  slice[float64]
	quality    slice[uint8]
	tier       slice[uint8]
}

// blocks keeps the memory of blocks between inserts: it is as much as all candles of a group take.
var blocks sync.Pool

// newCandleBlock returns the block of the chunks' candles. Give it back by free.
func newCandleBlock(writes []backfill.ChunkWrite) *candleBlock {
	b, ok := blocks.Get().(*candleBlock)
	if !ok {
		b = &candleBlock{}
	}
	rows := 0
	for _, w := range writes {
		rows += len(w.Candles)
	}
	b.reset(rows)
	for _, w := range writes {
		b.add(w)
	}
	return b
}

// free lets another insert have the memory; the driver has copied the values by then.
func (b *candleBlock) free() { blocks.Put(b) }

// reset empties the block and makes room for so many rows.
func (b *candleBlock) reset(rows int) {
	b.chain, b.source, b.version = b.chain[:0], b.source[:0], b.version[:0]
	for _, column := range []*slice[float64]{&b.open, &b.high, &b.low, &b.closePrice, &b.volume, &b.volumeUSD} {
		column.reset(rows)
	}
	b.token.reset(rows)
	b.interval.reset(rows)
	b.timestamp.reset(rows)
	b.rank.reset(rows)
	b.run.reset(rows)
	b.quality.reset(rows)
	b.tier.reset(rows)
}

func (b *candleBlock) add(w backfill.ChunkWrite) {
	m, tier := &w.Run.Manifest, w.Run.Tier(sourceOf(w))
	b.chain.add(string(w.Chunk.Token.Chain), len(w.Candles))
	b.source.add(sourceOf(w), len(w.Candles))
	b.version.add(cmp.Or(w.Outcome.Version, m.ScriptVersion), len(w.Candles))
	for _, c := range w.Candles {
		quality := candle.Quality(c, tier)
		b.token = append(b.token, w.Chunk.Token.Address)
		b.interval = append(b.interval, uint32(w.Chunk.Interval))
		b.timestamp = append(b.timestamp, c.OpenTime)
		b.rank = append(b.rank, Rank(quality, m.StartedAt))
		b.run = append(b.run, m.RunID)
		b.open = append(b.open, c.Open)
		b.high = append(b.high, c.High)
		b.low = append(b.low, c.Low)
		b.closePrice = append(b.closePrice, c.Close)
		b.volume = append(b.volume, c.Volume)
		b.volumeUSD = append(b.volumeUSD, c.VolumeUSD)
		b.quality = append(b.quality, quality)
		b.tier = append(b.tier, uint8(tier))
	}
}

func (b *candleBlock) rows() int { return len(b.timestamp) }

// columns are in the order of insert_candles.sql.
func (b *candleBlock) columns() []columnValues {
	return []columnValues{
		b.chain, b.token, b.interval, b.timestamp, b.rank, b.run,
		b.open, b.high, b.low, b.closePrice, b.volume, b.volumeUSD,
		b.quality, b.source, b.tier, b.version,
	}
}

// sourceOf is the service that answered; with fallbacks that need not be the one that the run asked for.
func sourceOf(w backfill.ChunkWrite) string { return cmp.Or(w.Outcome.Source, w.Run.Manifest.Source) }

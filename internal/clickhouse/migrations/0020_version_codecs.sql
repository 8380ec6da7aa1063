-- +goose NO TRANSACTION
-- +goose Up

-- The columns that repeat take LZ4 instead of ZSTD (see 0001), which is changed for new parts and merges only.
--
-- Where runs overlap, rank and run id repeat in threes: reading a token-month of three versions of each candle took ZSTD
-- 13 ms, of which 5 for these two, and LZ4 7 ms. On 2.5 M recorded candles LZ4 costs 0.2 bytes for the open time and
-- saves 0.1 elsewhere, of 17 (three versions side by side) to 41 bytes (one): the prices are what takes room.
ALTER TABLE ohlcv_candle_versions
    MODIFY COLUMN token_address CODEC(LZ4),
    MODIFY COLUMN interval_seconds CODEC(LZ4),
    MODIFY COLUMN timestamp CODEC(Delta, LZ4),
    MODIFY COLUMN rank CODEC(LZ4),
    MODIFY COLUMN ingestion_run_id CODEC(LZ4),
    MODIFY COLUMN quality_score CODEC(LZ4),
    MODIFY COLUMN source_tier CODEC(LZ4),
    MODIFY COLUMN ingested_at CODEC(Delta, LZ4);

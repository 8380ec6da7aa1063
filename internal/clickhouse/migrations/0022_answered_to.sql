-- +goose NO TRANSACTION
-- +goose Up

-- Where the answer of a success ends: at the end of the chunk, or where the candles begin that were not closed yet for the source.
-- NULL in rows of older programs, which took the whole range for answered.
ALTER TABLE ohlcv_ingestion_tasks
    ADD COLUMN IF NOT EXISTS answered_to Nullable(DateTime('UTC')) COMMENT 'exclusive; NULL = not recorded' AFTER range_to;

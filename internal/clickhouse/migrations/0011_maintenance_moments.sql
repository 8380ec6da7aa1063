-- +goose NO TRANSACTION
-- +goose Up

-- inline: a run skipped candles because what another run serves is as good: rolling that one back would need them.
ALTER TABLE ohlcv_maintenance MODIFY COLUMN operation Enum8('sweep' = 1, 'purge' = 2, 'inline' = 3);

-- The moment from which on the removal changes no as-of read: the beneficiary had ended and was not rolled back.
ALTER TABLE ohlcv_maintenance ADD COLUMN IF NOT EXISTS harmless_from DateTime64(3, 'UTC');

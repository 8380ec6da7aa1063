-- +goose NO TRANSACTION
-- +goose Up

-- What sweeps and purges removed for good: per run that benefits (its version made the removed one redundant), per run
-- that lost the versions, per month and interval. Rolling the beneficiary back would need what was removed, so the
-- rollback refuses exactly where the sum over its rows is not zero.
--
-- The key makes a resumed operation, which reports a month again, count once.
CREATE TABLE IF NOT EXISTS ohlcv_maintenance
(
    beneficiary_run_id UUID,
    removed_run_id     UUID,
    month              UInt32 COMMENT 'YYYYMM, the partition',
    interval_seconds   UInt32,
    operation_id       UUID,
    operation          Enum8('sweep' = 1, 'purge' = 2),
    versions_removed   UInt64,
    performed_by       String,
    performed_at       DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(performed_at)
ORDER BY (beneficiary_run_id, month, interval_seconds, removed_run_id, operation_id);

-- +goose NO TRANSACTION
-- +goose Up

-- The versions that an operation is about to remove: the DELETE reads its keys from here, so it removes exactly what was
-- counted before. Rows are of no use afterwards and expire.
CREATE TABLE IF NOT EXISTS ohlcv_redundant_versions
(
    operation_id       UUID,
    chain              LowCardinality(String),
    token_address      String,
    interval_seconds   UInt32,
    timestamp          DateTime('UTC'),
    rank               UInt64,
    ingestion_run_id   UUID,
    beneficiary_run_id UUID,
    found_at           DateTime('UTC') DEFAULT now()
)
ENGINE = MergeTree
ORDER BY (operation_id, chain, token_address, interval_seconds, timestamp)
TTL found_at + INTERVAL 1 DAY;

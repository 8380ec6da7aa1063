-- +goose NO TRANSACTION
-- +goose Up

-- One row per chunk and attempt of a run: first planned, then its outcome.
--
-- revision is what the engine keeps the largest of: planned < failed or cancelled < success, and among outcomes of the
--   same rank the one recorded earlier, which is the ledger's rule. It is MATERIALIZED, so no writer can get it wrong.
-- No partitions: rows of one run lie together by the key, and a planned row must meet its outcome however much later
--   that comes.
-- Times of the chunk are NULL while it is only planned.
CREATE TABLE IF NOT EXISTS ohlcv_ingestion_tasks
(
    run_id               UUID,
    attempt              UInt32,
    chunk_id             String,
    chain                LowCardinality(String),
    token_address        String,
    interval_seconds     UInt32,
    range_from           DateTime('UTC'),
    range_to             DateTime('UTC') COMMENT 'exclusive',
    status               Enum8('planned' = 0, 'failed' = 1, 'cancelled' = 2, 'success' = 3),
    candles_fetched      Int64,
    candles_inserted     Int64,
    candles_rejected     Int64,
    candles_deduplicated Int64,
    zero_volume_count    Int64,
    candles_dropped      Int64,
    api_calls            Int64,
    credits              Int64,
    error_message        String,
    error_class          LowCardinality(String),
    source               LowCardinality(String) COMMENT 'the service that answered',
    executions           UInt32 COMMENT 'how often a worker took the chunk up in this attempt',
    worker               LowCardinality(String),
    script_version       LowCardinality(String) COMMENT 'of the worker',
    started_at           Nullable(DateTime64(3, 'UTC')),
    ended_at             Nullable(DateTime64(3, 'UTC')),
    recorded_at          DateTime64(6, 'UTC') DEFAULT now64(6),
    revision             UInt64 MATERIALIZED
        bitShiftLeft(toUInt64(multiIf(status = 'success', 2, status = 'planned', 0, 1)), 56)
        + (bitShiftLeft(toUInt64(1), 56) - 1 - toUInt64(toUnixTimestamp64Micro(recorded_at)))
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (run_id, attempt, chunk_id);

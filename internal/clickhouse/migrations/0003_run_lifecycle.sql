-- +goose NO TRANSACTION
-- +goose Up

-- The log of what became of each run, append-only: attempt n runs, attempt n ended. Every row carries the whole
-- manifest, so any single row is enough to show the run (a start may be written late, or never).
--
-- The revision of a run is (attempt, phase), never a time: a late "running" never hides an end, in any attempt. Of two
-- rows with the same revision the earlier recorded counts: writing an end again changes nothing.
-- dedup_completed_at is here because a post-batch dedup ends with the attempt.
CREATE TABLE IF NOT EXISTS ohlcv_run_lifecycle
(
    run_id               UUID,
    attempt              UInt32,
    phase                Enum8('running' = 1, 'ended' = 2),
    recorded_at          DateTime64(6, 'UTC') DEFAULT now64(6),
    started_at           DateTime64(3, 'UTC') COMMENT 'of the run, not of the attempt',
    completed_at         Nullable(DateTime64(3, 'UTC')),
    status               LowCardinality(String),
    script_version       LowCardinality(String),
    git_commit_hash      String,
    git_branch           String,
    git_dirty            Nullable(Bool) COMMENT 'NULL = unknown',
    cli_args             String COMMENT 'a JSON object',
    env_info             String COMMENT 'a JSON object; secrets are ***',
    input_hash           String,
    source_tier          UInt8,
    candles_fetched      Int64,
    candles_inserted     Int64,
    candles_rejected     Int64,
    candles_deduplicated Int64,
    tokens_processed     Int64 COMMENT 'distinct tokens with at least one success',
    errors_count         Int64 COMMENT 'failed chunks',
    error_message        String,
    zero_volume_count    Int64,
    dedup_mode           LowCardinality(String),
    dedup_completed_at   Nullable(DateTime64(3, 'UTC')),
    planned_chunks       Int64 COMMENT 'of the run, over all attempts',
    retried_chunks       Int64 COMMENT 'those that this attempt takes up; 0 in the first, which takes up all',
    cancelled_chunks     Int64,
    candles_dropped      Int64,
    api_calls            Int64,
    credits              Int64,
    source               LowCardinality(String),
    interval_seconds     UInt32,
    range_from           DateTime('UTC'),
    range_to             DateTime('UTC') COMMENT 'exclusive',
    validation           LowCardinality(String),
    started_by           String
)
ENGINE = MergeTree
ORDER BY (run_id, attempt, phase, recorded_at);

CREATE TABLE {database}.ohlcv_alerts
(
    `kind` LowCardinality(String),
    `run_id` UUID COMMENT 'zero for an alert that is about no run',
    `attempt` UInt32,
    `event_id` UUID COMMENT 'the same at every delivery of this event',
    `text` String,
    `delivered_by` LowCardinality(String),
    `delivered_at` DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (kind, run_id, attempt, event_id)
TTL toDateTime(delivered_at) + toIntervalDay(180)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_candle_versions
(
    `chain` LowCardinality(String),
    `token_address` String CODEC(ZSTD(1)),
    `interval_seconds` UInt32 CODEC(ZSTD(1)),
    `timestamp` DateTime('UTC') COMMENT 'open time of the candle' CODEC(Delta(4), ZSTD(1)),
    `rank` UInt64 COMMENT 'ascending: the lowest is served' CODEC(LZ4),
    `ingestion_run_id` UUID CODEC(LZ4),
    `open` Float64,
    `high` Float64,
    `low` Float64,
    `close` Float64,
    `volume` Float64 COMMENT 'base units, as the source gives it',
    `volume_usd` Float64 COMMENT '0 where the source gives none',
    `quality_score` UInt8 CODEC(ZSTD(1)),
    `source` LowCardinality(String),
    `source_tier` UInt8 CODEC(ZSTD(1)),
    `script_version` LowCardinality(String),
    `ingested_at` DateTime64(6, 'UTC') DEFAULT now64(6) CODEC(Delta(8), ZSTD(1))
)
ENGINE = ReplacingMergeTree(ingested_at)
PARTITION BY toYYYYMM(timestamp)
ORDER BY (chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_ingestion_tasks
(
    `run_id` UUID,
    `attempt` UInt32,
    `chunk_id` String,
    `chain` LowCardinality(String),
    `token_address` String,
    `interval_seconds` UInt32,
    `range_from` DateTime('UTC'),
    `range_to` DateTime('UTC') COMMENT 'exclusive',
    `status` Enum8('planned' = 0, 'failed' = 1, 'cancelled' = 2, 'success' = 3),
    `candles_fetched` Int64,
    `candles_inserted` Int64,
    `candles_rejected` Int64,
    `candles_deduplicated` Int64,
    `zero_volume_count` Int64,
    `candles_dropped` Int64,
    `api_calls` Int64,
    `credits` Int64,
    `error_message` String,
    `error_class` LowCardinality(String),
    `source` LowCardinality(String) COMMENT 'the service that answered',
    `executions` UInt32 COMMENT 'how often a worker took the chunk up in this attempt',
    `worker` LowCardinality(String),
    `script_version` LowCardinality(String) COMMENT 'of the worker',
    `started_at` Nullable(DateTime64(3, 'UTC')),
    `ended_at` Nullable(DateTime64(3, 'UTC')),
    `recorded_at` DateTime64(6, 'UTC') DEFAULT now64(6),
    `revision` UInt64 MATERIALIZED bitShiftLeft(toUInt64(multiIf(status = 'success', 2, status = 'planned', 0, 1)), 56) + ((bitShiftLeft(toUInt64(1), 56) - 1) - toUInt64(toUnixTimestamp64Micro(recorded_at)))
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (run_id, attempt, chunk_id)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_maintenance
(
    `beneficiary_run_id` UUID,
    `removed_run_id` UUID,
    `month` UInt32 COMMENT 'YYYYMM, the partition',
    `interval_seconds` UInt32,
    `operation_id` UUID,
    `operation` Enum8('sweep' = 1, 'purge' = 2, 'inline' = 3),
    `versions_removed` UInt64,
    `performed_by` String,
    `performed_at` DateTime64(6, 'UTC') DEFAULT now64(6),
    `harmless_from` DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(performed_at)
ORDER BY (beneficiary_run_id, month, interval_seconds, removed_run_id, operation_id)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_operator_actions
(
    `action_id` UUID,
    `phase` Enum8('asked' = 1, 'ended' = 2),
    `action` LowCardinality(String) COMMENT 'rollback, restore, retry, cancel, sweep, queues',
    `run_id` UUID,
    `requested_by` String COMMENT 'the name given at login, or bearer',
    `address` String COMMENT 'where the request came from',
    `reason` String,
    `result` LowCardinality(String) COMMENT 'started, done, refused or failed',
    `detail` String,
    `recorded_at` DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (recorded_at, action_id)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_redundant_versions
(
    `operation_id` UUID,
    `chain` LowCardinality(String),
    `token_address` String,
    `interval_seconds` UInt32,
    `timestamp` DateTime('UTC'),
    `rank` UInt64,
    `ingestion_run_id` UUID,
    `beneficiary_run_id` UUID,
    `found_at` DateTime('UTC') DEFAULT now()
)
ENGINE = MergeTree
ORDER BY (operation_id, chain, token_address, interval_seconds, timestamp)
TTL found_at + toIntervalDay(1)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_rejected_candles
(
    `ingestion_run_id` UUID,
    `run_started_at` DateTime64(3, 'UTC'),
    `rule` LowCardinality(String),
    `chain` LowCardinality(String),
    `token_address` String,
    `interval_seconds` UInt32,
    `timestamp` DateTime('UTC') COMMENT 'as the source gave it; outside 1970 to 2106 the nearest end',
    `open` Float64,
    `high` Float64,
    `low` Float64,
    `close` Float64,
    `volume` Float64,
    `volume_usd` Float64,
    `source` LowCardinality(String),
    `chunk_id` String,
    `rejected_at` DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(rejected_at)
PARTITION BY toYYYYMM(run_started_at)
ORDER BY (ingestion_run_id, rule, chain, token_address, interval_seconds, timestamp)
TTL toDateTime(rejected_at) + toIntervalDay(90)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_run_lifecycle
(
    `run_id` UUID,
    `attempt` UInt32,
    `phase` Enum8('running' = 1, 'ended' = 2),
    `recorded_at` DateTime64(6, 'UTC') DEFAULT now64(6),
    `started_at` DateTime64(3, 'UTC') COMMENT 'of the run, not of the attempt',
    `completed_at` Nullable(DateTime64(3, 'UTC')),
    `status` LowCardinality(String),
    `script_version` LowCardinality(String),
    `git_commit_hash` String,
    `git_branch` String,
    `git_dirty` Nullable(Bool) COMMENT 'NULL = unknown',
    `cli_args` String COMMENT 'a JSON object',
    `env_info` String COMMENT 'a JSON object; secrets are ***',
    `input_hash` String,
    `source_tier` UInt8,
    `candles_fetched` Int64,
    `candles_inserted` Int64,
    `candles_rejected` Int64,
    `candles_deduplicated` Int64,
    `tokens_processed` Int64 COMMENT 'distinct tokens with at least one success',
    `errors_count` Int64 COMMENT 'failed chunks',
    `error_message` String,
    `zero_volume_count` Int64,
    `dedup_mode` LowCardinality(String),
    `dedup_completed_at` Nullable(DateTime64(3, 'UTC')),
    `planned_chunks` Int64 COMMENT 'of the run, over all attempts',
    `retried_chunks` Int64 COMMENT 'those that this attempt takes up; 0 in the first, which takes up all',
    `cancelled_chunks` Int64,
    `candles_dropped` Int64,
    `api_calls` Int64,
    `credits` Int64,
    `source` LowCardinality(String),
    `interval_seconds` UInt32,
    `range_from` DateTime('UTC'),
    `range_to` DateTime('UTC') COMMENT 'exclusive',
    `validation` LowCardinality(String),
    `started_by` String,
    `halt_rejection_rate` Float64 COMMENT '0 = never',
    `fallbacks` Array(String) COMMENT 'sources asked where the source had nothing',
    `max_credits` Int64 COMMENT 'an attempt halts above; 0 = never',
    `priority` LowCardinality(String) DEFAULT 'normal' COMMENT 'low, normal or high'
)
ENGINE = MergeTree
ORDER BY (run_id, attempt, phase, recorded_at)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_run_reliances
(
    `relied_on_run_id` UUID,
    `run_id` UUID,
    `candles` UInt64 COMMENT 'open times that were left out',
    `recorded_at` DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(recorded_at)
ORDER BY (relied_on_run_id, run_id)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_run_visibility
(
    `run_id` UUID,
    `sequence` UInt64,
    `event` Enum8('restored' = 1, 'rolled_back' = 2, 'purging' = 3),
    `requested_by` String,
    `reason` String,
    `recorded_at` DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (run_id, sequence, event)
SETTINGS index_granularity = 8192;

CREATE TABLE {database}.ohlcv_schema_versions
(
    `version_id` Int64,
    `is_applied` UInt8,
    `date` Date DEFAULT now(),
    `tstamp` DateTime DEFAULT now()
)
ENGINE = MergeTree
ORDER BY (version_id)
SETTINGS index_granularity = 8192;

CREATE VIEW {database}.ohlcv_rolled_back_runs
(
    `run_id` UUID,
    `last_event` Enum8('restored' = 1, 'rolled_back' = 2, 'purging' = 3)
)
AS SELECT
    run_id,
    argMax(event, (sequence, event)) AS last_event
FROM {database}.ohlcv_run_visibility
GROUP BY run_id
HAVING last_event != 'restored';

CREATE VIEW {database}.ohlcv_candles
(
    `chain` LowCardinality(String),
    `token_address` String,
    `interval_seconds` UInt32,
    `timestamp` DateTime('UTC'),
    `open` Float64,
    `high` Float64,
    `low` Float64,
    `close` Float64,
    `volume` Float64,
    `volume_usd` Float64,
    `quality_score` UInt8,
    `source` LowCardinality(String),
    `source_tier` UInt8,
    `ingestion_run_id` UUID,
    `ingested_at` DateTime64(6, 'UTC'),
    `script_version` LowCardinality(String)
)
AS SELECT
    chain,
    token_address,
    interval_seconds,
    timestamp,
    open,
    high,
    low,
    close,
    volume,
    volume_usd,
    quality_score,
    source,
    source_tier,
    ingestion_run_id,
    ingested_at,
    script_version
FROM {database}.ohlcv_candle_versions
FINAL
WHERE ingestion_run_id NOT IN (
    SELECT run_id
    FROM {database}.ohlcv_rolled_back_runs
)
ORDER BY
    chain ASC,
    token_address ASC,
    interval_seconds ASC,
    timestamp ASC,
    rank ASC,
    ingestion_run_id ASC
LIMIT 1 BY
    chain,
    token_address,
    interval_seconds,
    timestamp
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW {database}.ohlcv_candles_as_of
AS SELECT
    chain,
    token_address,
    interval_seconds,
    timestamp,
    open,
    high,
    low,
    close,
    volume,
    volume_usd,
    quality_score,
    source,
    source_tier,
    ingestion_run_id,
    ingested_at,
    script_version
FROM {database}.ohlcv_candle_versions
FINAL
WHERE (ingested_at <= {as_of:DateTime64(6, 'UTC')}) AND (ingestion_run_id IN (
    SELECT run_id
    FROM {database}.ohlcv_run_lifecycle
    WHERE (phase = 'ended') AND (completed_at <= {as_of:DateTime64(6, 'UTC')})
)) AND (ingestion_run_id NOT IN (
    SELECT run_id
    FROM {database}.ohlcv_run_visibility
    WHERE recorded_at <= {as_of:DateTime64(6, 'UTC')}
    GROUP BY run_id
    HAVING argMax(event, (sequence, event)) != 'restored'
)) AND ((
    SELECT throwIf(max(harmless_from) > {as_of:DateTime64(6, 'UTC')}, 'versions that were served at that moment have been removed by a sweep or purge')
    FROM {database}.ohlcv_maintenance
    FINAL
    WHERE (versions_removed > 0) AND (operation != 'inline')
) = 0)
ORDER BY
    chain ASC,
    token_address ASC,
    interval_seconds ASC,
    timestamp ASC,
    rank ASC,
    ingestion_run_id ASC
LIMIT 1 BY
    chain,
    token_address,
    interval_seconds,
    timestamp
SETTINGS do_not_merge_across_partitions_select_final = 1;

CREATE VIEW {database}.ohlcv_ingestion_runs
(
    `run_id` UUID,
    `started_at` DateTime64(3, 'UTC'),
    `completed_at` Nullable(DateTime64(3, 'UTC')),
    `status` String,
    `script_version` LowCardinality(String),
    `git_commit_hash` String,
    `git_branch` String,
    `git_dirty` Nullable(Bool),
    `cli_args` String,
    `env_info` String,
    `input_hash` String,
    `source_tier` UInt8,
    `candles_fetched` Int64,
    `candles_inserted` Int64,
    `candles_rejected` Int64,
    `candles_deduplicated` Int64,
    `tokens_processed` Int64,
    `errors_count` Int64,
    `error_message` String,
    `zero_volume_count` Int64,
    `dedup_mode` LowCardinality(String),
    `dedup_completed_at` Nullable(DateTime64(3, 'UTC')),
    `attempt` UInt32,
    `planned_chunks` Int64,
    `retried_chunks` Int64,
    `cancelled_chunks` Int64,
    `candles_dropped` Int64,
    `api_calls` Int64,
    `credits` Int64,
    `source` LowCardinality(String),
    `interval` String,
    `range_from` DateTime('UTC'),
    `range_to` DateTime('UTC'),
    `validation` LowCardinality(String),
    `started_by` String,
    `halt_rejection_rate` Float64,
    `fallbacks` Array(String),
    `max_credits` Int64,
    `priority` LowCardinality(String)
)
AS SELECT
    run_id,
    started_at,
    completed_at,
    if((run_id IN (
        SELECT run_id
        FROM {database}.ohlcv_rolled_back_runs
    )), 'rolled_back', toString(lifecycle.status)) AS status,
    script_version,
    git_commit_hash,
    git_branch,
    git_dirty,
    cli_args,
    env_info,
    input_hash,
    source_tier,
    candles_fetched,
    candles_inserted,
    candles_rejected,
    candles_deduplicated,
    tokens_processed,
    errors_count,
    error_message,
    zero_volume_count,
    dedup_mode,
    dedup_completed_at,
    attempt,
    planned_chunks,
    retried_chunks,
    cancelled_chunks,
    candles_dropped,
    api_calls,
    credits,
    source,
    transform(interval_seconds, [1, 15, 60, 300, 900, 3600, 14400, 86400], ['1s', '15s', '1m', '5m', '15m', '1h', '4h', '1d'], toString(interval_seconds)) AS interval,
    range_from,
    range_to,
    validation,
    started_by,
    halt_rejection_rate,
    fallbacks,
    max_credits,
    priority
FROM {database}.ohlcv_run_lifecycle AS lifecycle
ORDER BY
    run_id ASC,
    attempt DESC,
    phase DESC,
    recorded_at ASC
LIMIT 1 BY run_id;

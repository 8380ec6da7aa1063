-- +goose NO TRANSACTION
-- +goose Up

-- Quarantine: candles that broke a rule, with the rule, for as long as somebody may want to know why (90 days).
--
-- The key is run + rule + candle: a repeated chunk changes nothing, and a run's quarantine lies together.
-- PARTITION BY the month of the run's start, which a repeat cannot change (the month of the insert it can), and which
--   lets whole parts expire; the candle's own month would spread an insert over many partitions.
CREATE TABLE IF NOT EXISTS ohlcv_rejected_candles
(
    ingestion_run_id UUID,
    run_started_at   DateTime64(3, 'UTC'),
    rule             LowCardinality(String),
    chain            LowCardinality(String),
    token_address    String,
    interval_seconds UInt32,
    timestamp        DateTime('UTC') COMMENT 'as the source gave it; outside 1970 to 2106 the nearest end',
    open             Float64,
    high             Float64,
    low              Float64,
    close            Float64,
    volume           Float64,
    volume_usd       Float64,
    source           LowCardinality(String),
    chunk_id         String,
    rejected_at      DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(rejected_at)
PARTITION BY toYYYYMM(run_started_at)
ORDER BY (ingestion_run_id, rule, chain, token_address, interval_seconds, timestamp)
TTL toDateTime(rejected_at) + INTERVAL 90 DAY;

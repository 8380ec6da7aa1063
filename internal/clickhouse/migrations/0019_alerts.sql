-- +goose NO TRANSACTION
-- +goose Up

-- The alerts that were delivered. What is to be told is derived from the run lifecycle and compared with these rows, so no
-- death of a process and no loss of Redis loses an alert; a row that could not be written after a delivery leads to a second
-- delivery with the same event id.
--
-- Ordered by what the comparison asks for. The TTL is far longer than the days that it looks back.
CREATE TABLE IF NOT EXISTS ohlcv_alerts
(
    kind         LowCardinality(String),
    run_id       UUID COMMENT 'zero for an alert that is about no run',
    attempt      UInt32,
    event_id     UUID COMMENT 'the same at every delivery of this event',
    text         String,
    delivered_by LowCardinality(String),
    delivered_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = MergeTree
ORDER BY (kind, run_id, attempt, event_id)
TTL toDateTime(delivered_at) + INTERVAL 180 DAY;

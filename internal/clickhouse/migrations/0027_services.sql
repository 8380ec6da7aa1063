-- +goose NO TRANSACTION
-- +goose Up

-- At which service each source is asked, as internal/config names services: what one service says and what another says never
-- share a database, least of all simulated candles and real ones. The first that is used counts (the earliest row that did
-- not move); rows that moved name further addresses of the same service. Append-only, and a few rows in all.
CREATE TABLE IF NOT EXISTS ohlcv_services
(
    source      LowCardinality(String),
    service     String,
    moved       Bool COMMENT 'migrate --service-moved: the same service at another address',
    recorded_by String,
    recorded_at DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = MergeTree
ORDER BY (source, recorded_at);

-- +goose NO TRANSACTION
-- +goose Up

-- Which runs a run relied on: it left ranges out because they had answered for them. When one of those is rolled back,
-- these are the runs whose data now has gaps.
--
-- ORDER BY starts with the run that is asked for: "who relied on this one?".
CREATE TABLE IF NOT EXISTS ohlcv_run_reliances
(
    relied_on_run_id UUID,
    run_id           UUID,
    candles          UInt64 COMMENT 'open times that were left out',
    recorded_at      DateTime64(6, 'UTC') DEFAULT now64(6)
)
ENGINE = ReplacingMergeTree(recorded_at)
ORDER BY (relied_on_run_id, run_id);

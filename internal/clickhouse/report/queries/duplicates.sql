-- Versions beside the served one, per interval and month: what a sweep may remove once their betters are settled.
SELECT
    interval_seconds,
    toYYYYMM(timestamp) AS month,
    toInt64(count()) AS candles,
    toInt64(sum(versions)) AS versions
FROM
(
    SELECT interval_seconds, timestamp, uniqExact(rank, ingestion_run_id) AS versions
    FROM ohlcv_candle_versions
    WHERE ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
    GROUP BY chain, token_address, interval_seconds, timestamp
)
GROUP BY interval_seconds, month
HAVING versions > candles
ORDER BY interval_seconds, month
SETTINGS optimize_aggregation_in_order = 1

SELECT toYYYYMM(timestamp) AS month, interval_seconds, toUInt64(uniqExact(chain, token_address, timestamp, rank)) AS versions
FROM ohlcv_candle_versions
WHERE ingestion_run_id = {run_id:UUID}
GROUP BY month, interval_seconds
ORDER BY month, interval_seconds

-- Repeats of a version that are not merged yet count once. Streaming along the key, a count of distinct keys needs no
-- memory for them.
SELECT count()
FROM
(
    SELECT rank
    FROM ohlcv_candle_versions
    WHERE (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID})
      AND interval_seconds = {interval:UInt32}
      AND ingestion_run_id = {run_id:UUID}
    ORDER BY chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id
    LIMIT 1 BY chain, token_address, interval_seconds, timestamp, rank
)

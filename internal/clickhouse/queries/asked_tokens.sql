-- The tokens that were ever asked for at this interval.
SELECT DISTINCT chain, token_address
FROM ohlcv_ingestion_tasks
WHERE interval_seconds = {interval:UInt32}
ORDER BY chain, token_address

-- The tokens that were ever asked for at this interval, by this run alone or, where the run is zero, by any.
SELECT DISTINCT chain, token_address
FROM ohlcv_ingestion_tasks
WHERE interval_seconds = {interval:UInt32} AND (toUInt128({run:UUID}) = 0 OR run_id = {run:UUID})
ORDER BY chain, token_address

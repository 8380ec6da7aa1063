-- How many versions each token has in the months: a sweep cuts them into slices of bounded size.
SELECT
    toYYYYMM(timestamp) AS month,
    interval_seconds,
    chain,
    token_address,
    count() AS versions
FROM ohlcv_candle_versions
WHERE (empty({intervals:Array(UInt32)}) OR has({intervals:Array(UInt32)}, interval_seconds))
  AND ({run_id:UUID} = toUUID('00000000-0000-0000-0000-000000000000')
       OR (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID}))
GROUP BY month, interval_seconds, chain, token_address
ORDER BY month, interval_seconds, chain, token_address

-- What each candle that the run serves falls back to: the best version of the other visible runs, or nothing (the zero
-- id). Grouping along the key keeps one candle in memory at a time; FINAL is not needed, because repeats of a version
-- have its key.
SELECT
    fallback,
    count() AS candles
FROM
(
    SELECT
        argMin(ingestion_run_id, (rank, ingestion_run_id)) AS best,
        argMinIf(ingestion_run_id, (rank, ingestion_run_id), ingestion_run_id != {run_id:UUID}) AS fallback
    FROM ohlcv_candle_versions
    WHERE (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID})
      AND interval_seconds = {interval:UInt32}
      AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
      AND ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
    GROUP BY chain, token_address, interval_seconds, timestamp
    HAVING best = {run_id:UUID}
)
GROUP BY fallback
ORDER BY candles DESC
SETTINGS optimize_aggregation_in_order = 1

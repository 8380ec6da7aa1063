-- Who serves how many candles more (or fewer) when the run leaves: each run's served candles without it, minus those with
-- it. Where the run is not served nothing changes and the two cancel out; so the others' gain is what falls back to them,
-- and what the run loses beyond it disappears. Both sides stream along the key, which a grouping by candle with argMin
-- does at a third of the speed. FINAL is not needed, because repeats of a version have its key.
SELECT
    ingestion_run_id AS run_id,
    sum(change) AS candles
FROM
(
    SELECT ingestion_run_id, 1 AS change
    FROM
    (
        SELECT ingestion_run_id
        FROM ohlcv_candle_versions
        WHERE (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID})
          AND interval_seconds = {interval:UInt32}
          AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
          AND ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
          AND ingestion_run_id != {run_id:UUID}
        ORDER BY chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id
        LIMIT 1 BY chain, token_address, interval_seconds, timestamp
    )
    UNION ALL
    SELECT ingestion_run_id, -1 AS change
    FROM
    (
        SELECT ingestion_run_id
        FROM ohlcv_candle_versions
        WHERE (chain, token_address) IN (SELECT chain, token_address FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID})
          AND interval_seconds = {interval:UInt32}
          AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
          AND ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
        ORDER BY chain, token_address, interval_seconds, timestamp, rank, ingestion_run_id
        LIMIT 1 BY chain, token_address, interval_seconds, timestamp
    )
)
GROUP BY ingestion_run_id
HAVING candles != 0
ORDER BY candles DESC, run_id

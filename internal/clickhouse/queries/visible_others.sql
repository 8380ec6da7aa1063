-- What other visible runs have of a chunk's candles, the best version of each first.
SELECT
    toUnixTimestamp(timestamp) AS opened,
    rank,
    ingestion_run_id,
    quality_score,
    open, high, low, close, volume, volume_usd,
    ingestion_run_id IN
    (
        SELECT run_id
        FROM ohlcv_ingestion_runs
        WHERE status IN {ended:Array(String)}
          AND completed_at <= now64(3) - toIntervalSecond({window:UInt32})
    ) AS settled
FROM ohlcv_candle_versions FINAL
WHERE chain = {chain:String} AND token_address = {token_address:String} AND interval_seconds = {interval:UInt32}
  AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
  AND ingestion_run_id != {run_id:UUID}
  AND ingestion_run_id NOT IN (SELECT run_id FROM ohlcv_rolled_back_runs)
ORDER BY timestamp, rank, ingestion_run_id
SETTINGS do_not_merge_across_partitions_select_final = 1

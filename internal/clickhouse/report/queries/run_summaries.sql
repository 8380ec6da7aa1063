-- The few columns that a run is examined by: the manifests of many runs are megabytes. Empty parameters mean no condition;
-- source is what was asked first.
SELECT
    run_id,
    status,
    started_at,
    candles_fetched,
    candles_inserted,
    candles_rejected,
    candles_deduplicated,
    zero_volume_count,
    planned_chunks,
    errors_count,
    cancelled_chunks,
    error_message
FROM ohlcv_ingestion_runs
WHERE started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
  AND ({source:String} = '' OR source = {source:String})
ORDER BY started_at DESC, run_id DESC
LIMIT {limit:UInt64}

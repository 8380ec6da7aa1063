-- What runs brought, per day (UTC) of their start; those that are rolled back are counted apart, because they have been dealt
-- with. Days without a run have no row. source is what was asked first; empty means any.
SELECT
    toStartOfDay(started_at, 'UTC') AS day,
    toInt64(countIf(status != 'rolled_back')) AS runs,
    toInt64(countIf(status = 'rolled_back')) AS rolled_back,
    toInt64(countIf(status = 'failed')) AS failed,
    sumIf(planned_chunks, status != 'rolled_back') AS chunks,
    sumIf(errors_count, status != 'rolled_back') AS failed_chunks,
    sumIf(candles_fetched, status != 'rolled_back') AS fetched,
    sumIf(candles_rejected, status != 'rolled_back') AS rejected,
    sumIf(candles_deduplicated, status != 'rolled_back') AS deduplicated,
    sumIf(zero_volume_count, status != 'rolled_back') AS zero_volume
FROM ohlcv_ingestion_runs
WHERE started_at >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND started_at < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
  AND ({source:String} = '' OR source = {source:String})
GROUP BY day
ORDER BY day

-- As resample.sql, of an earlier moment.
SELECT
    chain,
    token_address,
    toUInt32(toUInt32(timestamp) - toUInt32(timestamp) % {bucket:UInt32}) AS bucket,
    argMin(open, timestamp),
    max(high),
    min(low),
    argMax(close, timestamp),
    sumKahan(volume),
    sumKahan(volume_usd),
    min(quality_score),
    arraySort(groupUniqArray(toString(source))),
    groupUniqArray(ingestion_run_id),
    count() AS candles,
    if(candles * {interval:UInt32} = {bucket:UInt32}, [], arraySort(groupArray(toUInt32(timestamp))))
FROM ohlcv_candles_as_of(as_of = {as_of:String})
WHERE interval_seconds = {interval:UInt32}
  AND (empty({addresses:Array(String)}) OR (toString(chain), token_address) IN
      (SELECT t.1, t.2 FROM (SELECT arrayJoin(arrayZip({chains:Array(String)}, {addresses:Array(String)})) AS t)))
  AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
GROUP BY chain, token_address, bucket
ORDER BY chain, token_address, bucket
SETTINGS max_bytes_before_external_group_by = 268435456, max_bytes_before_external_sort = 268435456

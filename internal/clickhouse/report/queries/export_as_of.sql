-- As export.sql, of an earlier moment.
SELECT chain, token_address, interval_seconds, timestamp, open, high, low, close, volume, volume_usd, quality_score, source, ingestion_run_id
FROM ohlcv_candles_as_of(as_of = {as_of:String})
WHERE interval_seconds = {interval:UInt32}
  AND (empty({addresses:Array(String)}) OR (toString(chain), token_address) IN
      (SELECT t.1, t.2 FROM (SELECT arrayJoin(arrayZip({chains:Array(String)}, {addresses:Array(String)})) AS t)))
  AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
ORDER BY chain, token_address, interval_seconds, timestamp

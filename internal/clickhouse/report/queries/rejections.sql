-- What runs rejected of one candle, the latest first. FINAL, because a repeated chunk leaves its rejections twice until they are
-- merged.
SELECT ingestion_run_id, rule, source, open, high, low, close, volume, volume_usd, rejected_at, detail
FROM ohlcv_rejected_candles FINAL
WHERE chain = {chain:String} AND token_address = {token:String} AND interval_seconds = {interval:UInt32}
  AND timestamp >= toDateTime({open:UInt32}, 'UTC') AND timestamp < toDateTime({open:UInt32} + {interval:UInt32}, 'UTC')
ORDER BY rejected_at DESC, ingestion_run_id
LIMIT {limit:UInt32}

-- The served view; the range is half-open. The order is that of the key, so the server streams. Times are
-- bound as numbers, because a DateTime parameter refuses those shortly after 1970.
SELECT toUnixTimestamp(timestamp), open, high, low, close, volume, volume_usd
FROM ohlcv_candles
WHERE chain = {chain:String} AND token_address = {token_address:String} AND interval_seconds = {interval:UInt32}
  AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
ORDER BY timestamp

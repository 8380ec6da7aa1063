-- As candles.sql, of an earlier moment.
SELECT toUnixTimestamp(timestamp), open, high, low, close, volume, volume_usd
FROM ohlcv_candles_as_of(as_of = {as_of:String})
WHERE chain = {chain:String} AND token_address = {token_address:String} AND interval_seconds = {interval:UInt32}
  AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
ORDER BY timestamp

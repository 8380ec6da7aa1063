-- The served view; the range is half-open. The order is that of the key, so the server streams.
SELECT toUnixTimestamp(timestamp), open, high, low, close, volume, volume_usd
FROM ohlcv_candles
WHERE chain = {chain:String} AND token_address = {token_address:String} AND interval_seconds = {interval:UInt32}
  AND timestamp >= {from:DateTime('UTC')} AND timestamp < {to:DateTime('UTC')}
ORDER BY timestamp

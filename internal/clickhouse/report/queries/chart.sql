-- The served candles of a token in buckets of the UTC grid. sumKahan, because a plain sum of floats changes with how the candles
-- happen to lie in parts.
SELECT
    toUInt32(toUInt32(timestamp) - toUInt32(timestamp) % {bucket:UInt32}) AS bucket,
    argMin(open, timestamp),
    max(high),
    min(low),
    argMax(close, timestamp),
    sumKahan(volume),
    sumKahan(volume_usd),
    toInt64(count()),
    min(quality_score)
FROM ohlcv_candles
WHERE chain = {chain:String} AND token_address = {token:String} AND interval_seconds = {interval:UInt32}
  AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
GROUP BY bucket
ORDER BY bucket

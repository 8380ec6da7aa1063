-- The stretches of a token without a missing candle: candles in a row share the difference of open time and position.
SELECT
    toUInt32(min(timestamp)) AS first,
    toUInt32(max(timestamp)) AS last
FROM
(
    SELECT timestamp, toInt64(toUInt32(timestamp)) - toInt64({interval:UInt32}) * row_number() OVER (ORDER BY timestamp) AS row_of
    FROM ohlcv_candles
    WHERE chain = {chain:String} AND token_address = {token:String} AND interval_seconds = {interval:UInt32}
      AND timestamp >= toDateTime({from:UInt32}, 'UTC') AND timestamp < toDateTime({to:UInt32}, 'UTC')
)
GROUP BY row_of
ORDER BY first

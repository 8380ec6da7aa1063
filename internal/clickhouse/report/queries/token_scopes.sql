-- What is stored of a token at each interval, rolled-back runs included: a prefix of the key, of which only the open times are
-- read.
SELECT
    interval_seconds,
    toUInt32(min(timestamp)) AS first,
    toUInt32(max(timestamp)) AS last
FROM ohlcv_candle_versions
WHERE chain = {chain:String} AND token_address = {token:String}
GROUP BY interval_seconds
ORDER BY interval_seconds

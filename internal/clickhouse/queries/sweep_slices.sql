-- How many versions each token has in the months: a sweep cuts them into slices of bounded size.
SELECT
    toYYYYMM(timestamp) AS month,
    interval_seconds,
    chain,
    token_address,
    count() AS versions
FROM ohlcv_candle_versions
WHERE (empty({intervals:Array(UInt32)}) OR has({intervals:Array(UInt32)}, interval_seconds))
GROUP BY month, interval_seconds, chain, token_address
ORDER BY month, interval_seconds, chain, token_address

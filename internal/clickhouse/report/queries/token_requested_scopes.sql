-- What a token was asked for at each interval.
SELECT
    interval_seconds,
    toUInt32(min(range_from)) AS first,
    toUInt32(max(range_to)) AS last
FROM ohlcv_ingestion_tasks
PREWHERE token_address = {token:String}
WHERE chain = {chain:String}
GROUP BY interval_seconds
ORDER BY interval_seconds

-- What runs asked for at each interval: which services, fallbacks included, and from when to when. From the few rows of runs
-- rather than from their chunks.
SELECT
    interval_seconds,
    arraySort(groupUniqArrayArray(arrayPushFront(fallbacks, toString(source)))) AS sources,
    toUInt32(min(range_from)) AS first,
    toUInt32(max(range_to)) AS last
FROM ohlcv_run_lifecycle
GROUP BY interval_seconds
ORDER BY interval_seconds

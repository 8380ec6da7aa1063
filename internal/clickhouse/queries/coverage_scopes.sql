-- What was asked for at each interval: the services that answered, and from when to when. Cheap columns only.
SELECT
    interval_seconds,
    arraySort(groupUniqArrayIf(source, source != '')) AS sources,
    toUInt32(min(range_from)) AS first,
    toUInt32(max(range_to)) AS last
FROM ohlcv_ingestion_tasks
GROUP BY interval_seconds
ORDER BY interval_seconds

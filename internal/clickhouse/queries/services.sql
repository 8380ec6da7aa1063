-- The services of each source: the first that was used, and the addresses that it moved to.
SELECT source, arrayDistinct(arrayConcat([argMinIf(service, recorded_at, NOT moved)], groupArrayIf(service, moved))) AS services
FROM ohlcv_services
GROUP BY source

-- The sources that runs have named, for choosing one.
SELECT DISTINCT source FROM ohlcv_run_lifecycle WHERE source != '' ORDER BY source LIMIT 50

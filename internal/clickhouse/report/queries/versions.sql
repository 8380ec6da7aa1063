-- The versions of one candle, the best first, with the run that stored each. The first that is not hidden is served. A version
-- outlives the start of its run by no means, but its row may come late: then the run's columns are empty.
SELECT
    version.ingestion_run_id,
    version.rank,
    version.quality_score,
    version.source,
    version.source_tier,
    version.script_version,
    version.ingested_at,
    version.open,
    version.high,
    version.low,
    version.close,
    version.volume,
    version.volume_usd,
    version.ingestion_run_id IN (SELECT run_id FROM ohlcv_rolled_back_runs) AS hidden,
    run.status,
    run.started_at
FROM
(
    SELECT *
    FROM ohlcv_candle_versions FINAL
    WHERE chain = {chain:String} AND token_address = {token:String} AND interval_seconds = {interval:UInt32}
      AND timestamp = toDateTime({open:UInt32}, 'UTC')
) AS version
LEFT JOIN
(
    SELECT run_id, status, started_at
    FROM ohlcv_ingestion_runs
    WHERE run_id IN
    (
        SELECT ingestion_run_id
        FROM ohlcv_candle_versions
        WHERE chain = {chain:String} AND token_address = {token:String} AND interval_seconds = {interval:UInt32}
          AND timestamp = toDateTime({open:UInt32}, 'UTC')
    )
) AS run ON run.run_id = version.ingestion_run_id
ORDER BY rank, ingestion_run_id
LIMIT {limit:UInt32}
SETTINGS join_use_nulls = 1

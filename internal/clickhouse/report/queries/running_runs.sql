-- Runs that have started and not ended, the oldest first, with narrow columns.
SELECT $columns
FROM ohlcv_ingestion_runs
WHERE status = 'running'
ORDER BY started_at, run_id
LIMIT 200

-- Runs that have started and not ended, the oldest first, with narrow columns.
SELECT run_id, started_at, attempt, source, planned_chunks
FROM ohlcv_ingestion_runs
WHERE status = 'running'
ORDER BY started_at, run_id
LIMIT 200

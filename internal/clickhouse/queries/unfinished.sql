-- The view's status is running exactly when the latest attempt has started and not ended.
SELECT $columns
FROM ohlcv_ingestion_runs
WHERE status = 'running'
ORDER BY started_at

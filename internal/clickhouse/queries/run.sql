-- The run id is the first column of the log's key, and it reaches that key through the view.
SELECT $columns
FROM ohlcv_ingestion_runs
WHERE run_id = {run_id:UUID}

-- Of the run, over all attempts.
SELECT uniqExact(chunk_id)
FROM ohlcv_ingestion_tasks
WHERE run_id = {run_id:UUID}

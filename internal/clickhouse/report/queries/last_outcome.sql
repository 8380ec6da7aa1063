-- When a chunk of the run ended last.
SELECT max(ended_at) AS last_end FROM ohlcv_ingestion_tasks WHERE run_id = {run_id:UUID}

-- A chunk counts once whether it is planned, has an outcome, or both in rows that are not merged yet: cheaper than FINAL.
SELECT uniqExact(chunk_id)
FROM ohlcv_ingestion_tasks
WHERE run_id = {run_id:UUID} AND attempt = {attempt:UInt32}

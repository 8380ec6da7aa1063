-- What earlier attempts brought: of a chunk that succeeded twice, the later success. A prefix of the key.
SELECT *
FROM ohlcv_ingestion_tasks FINAL
WHERE run_id = {run_id:UUID} AND attempt < {attempt:UInt32} AND status = 'success'
ORDER BY chunk_id, attempt DESC
LIMIT 1 BY chunk_id

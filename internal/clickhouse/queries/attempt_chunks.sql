-- A prefix of the key: the server streams it in order, holding no more than a block.
SELECT *
FROM ohlcv_ingestion_tasks FINAL
WHERE run_id = {run_id:UUID} AND attempt = {attempt:UInt32}
ORDER BY run_id, attempt, chunk_id

-- FINAL, so that of several rows the one that counts is read, also before a merge; the whole key makes it one granule.
SELECT *
FROM ohlcv_ingestion_tasks FINAL
WHERE run_id = {run_id:UUID} AND attempt = {attempt:UInt32} AND chunk_id = {chunk_id:String} AND status = 'success'

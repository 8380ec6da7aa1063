-- The last activity of the attempt: the last outcome, else its plan. The times are the server's own.
-- The counts are exact up to 65,536 and near enough above that.
SELECT
    max(recorded_at) AS last_activity,
    now64(6) AS now,
    uniqIf(chunk_id, status != 'planned') AS ended,
    uniq(chunk_id) AS planned
FROM ohlcv_ingestion_tasks
WHERE run_id = {run_id:UUID} AND attempt = {attempt:UInt32}

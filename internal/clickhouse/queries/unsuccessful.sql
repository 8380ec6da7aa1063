-- A chunk that any attempt filled is filled, also when the success came after its attempt had ended.
SELECT *
FROM
(
    SELECT *
    FROM ohlcv_ingestion_tasks FINAL
    WHERE run_id = {run_id:UUID}
    ORDER BY chunk_id, status = 'success' DESC, attempt DESC
    LIMIT 1 BY chunk_id
)
WHERE status != 'success'
ORDER BY chunk_id

-- The rows are chosen as in tasks.sql. Samples are the smallest chunks in reading order, so that the same
-- question gives the same answer.
SELECT
    error_message,
    any(error_class) AS error_class,
    count() AS chunks,
    uniqExact(chain, token_address) AS tokens,
    arraySlice(arraySort(groupArray(1000)((toString(chain), token_address, range_from, range_to, chunk_id))), 1, 5) AS samples
FROM
(
    SELECT *
    FROM ohlcv_ingestion_tasks FINAL
    WHERE run_id = {run_id:UUID}
    ORDER BY chunk_id, status = 'success' DESC, attempt DESC
    LIMIT 1 BY chunk_id
)
WHERE status = 'failed'
GROUP BY error_message
ORDER BY chunks DESC, error_message
LIMIT 100

-- The rows are chosen as in tasks.sql. Samples are the smallest chunks in reading order, so that the same
-- question gives the same answer. What is particular to a chunk stands before the first colon of a fetch's error (see
-- backfill.FailureReason); without it equal causes group.
SELECT
    if(startsWith(error_message, 'fetch ') AND position(error_message, ': ') > 0,
        substring(error_message, position(error_message, ': ') + 2), error_message) AS reason,
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
GROUP BY reason
ORDER BY chunks DESC, reason
LIMIT 100

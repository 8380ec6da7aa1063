-- A page of a run's chunks, chosen as in tasks.sql. The choice and the order read narrow columns only; the inner LIMIT
-- leaves a page of keys, and only their rows are read whole.
SELECT
    run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status,
    candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, candles_shadowed, candles_skipped, zero_volume_count, candles_dropped, api_calls, credits,
    error_message, error_class, source, executions, worker, script_version, started_at, ended_at, answered_to, files, recorded_at
FROM ohlcv_ingestion_tasks FINAL
WHERE run_id = {run_id:UUID} AND (attempt, chunk_id) IN
(
    SELECT attempt, chunk_id
    FROM
    (
        SELECT attempt, chunk_id, status, chain, token_address, range_from, executions, candles_inserted,
            ifNull(dateDiff('millisecond', started_at, ended_at), -1) AS took
        FROM ohlcv_ingestion_tasks FINAL
        WHERE run_id = {run_id:UUID}
        ORDER BY chunk_id, status = 'success' DESC, attempt DESC
        LIMIT 1 BY chunk_id
    )
    WHERE ({status:String} = '' OR toString(status) = {status:String})
      AND ({token:String} = '' OR token_address = {token:String})
    ORDER BY
        multiIf({order:String} = 'slowest', took, {order:String} = 'executions', toInt64(executions), {order:String} = 'candles', candles_inserted, 0) DESC,
        chain, token_address, range_from, chunk_id
    LIMIT {limit:UInt64} OFFSET {offset:UInt64}
)
ORDER BY
    multiIf({order:String} = 'slowest', ifNull(dateDiff('millisecond', started_at, ended_at), -1),
        {order:String} = 'executions', toInt64(executions), {order:String} = 'candles', candles_inserted, 0) DESC,
    chain, token_address, range_from, chunk_id

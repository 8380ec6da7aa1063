-- A chunk that any attempt filled is filled, also when the success came after its attempt had ended.
SELECT
    run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status,
    candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, candles_shadowed, candles_skipped, zero_volume_count, candles_dropped, api_calls, credits,
    error_message, error_class, source, executions, worker, script_version, started_at, ended_at, recorded_at
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

-- What earlier attempts brought: of a chunk that succeeded twice, the later success. A prefix of the key.
SELECT
    run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status,
    candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, candles_shadowed, candles_skipped, zero_volume_count, candles_dropped, api_calls, credits,
    error_message, error_class, source, executions, worker, script_version, started_at, ended_at, answered_to, files, recorded_at
FROM ohlcv_ingestion_tasks FINAL
WHERE run_id = {run_id:UUID} AND attempt < {attempt:UInt32} AND status = 'success'
ORDER BY chunk_id, attempt DESC
LIMIT 1 BY chunk_id

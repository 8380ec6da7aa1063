-- Each chunk's success if it ever had one, else its latest attempt: what the run's stats describe, or will after the next
-- retry when the success came late. The status is tested after that choice: a chunk that failed and was retried with
-- success is not a failed one. An empty list means every status.
SELECT
    run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status,
    candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, candles_shadowed, candles_skipped, zero_volume_count, candles_dropped, api_calls, credits,
    error_message, error_class, source, executions, worker, script_version, started_at, ended_at, answered_to, files, recorded_at
FROM
(
    SELECT *
    FROM ohlcv_ingestion_tasks FINAL
    WHERE run_id = {run_id:UUID}
    ORDER BY chunk_id, status = 'success' DESC, attempt DESC
    LIMIT 1 BY chunk_id
)
WHERE empty({statuses:Array(String)}) OR has({statuses:Array(String)}, toString(status))
ORDER BY chain, token_address, range_from
LIMIT {limit:UInt64}

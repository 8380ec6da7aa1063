-- recorded_at, and with it the revision, is left to the server: one clock must decide which outcome came first.
INSERT INTO ohlcv_ingestion_tasks (
    run_id, attempt, chunk_id, chain, token_address, interval_seconds, range_from, range_to, status,
    candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, candles_shadowed, candles_skipped, zero_volume_count, candles_dropped,
    api_calls, credits, error_message, error_class, source, executions, worker, script_version, started_at, ended_at, answered_to, files
)

-- The view's status is running exactly when the latest attempt has started and not ended.
SELECT
    run_id, started_at, completed_at, status, script_version, git_commit_hash, git_branch, git_dirty, cli_args, env_info, input_hash,
    source_tier, candles_fetched, candles_inserted, candles_rejected, candles_deduplicated, tokens_processed, errors_count, error_message,
    zero_volume_count, dedup_mode, dedup_completed_at, attempt, planned_chunks, retried_chunks, cancelled_chunks, candles_dropped,
    api_calls, credits, source, interval, range_from, range_to, validation, started_by, halt_rejection_rate, fallbacks, max_credits, priority,
    outliers, no_published_files, services, deployment_id, candles_shadowed, candles_skipped, typed_hash, labels
FROM ohlcv_ingestion_runs
WHERE status = 'running'
ORDER BY started_at
